/**
 * Whether KVM boots a stock kernel here, found out by trying: /dev/kvm may be there and be of no use. Remembered for
 * this machine's kernel.
 */
import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { release } from 'node:os';
import path from 'node:path';
import { CACHE } from './kernel.ts';
import { Machine } from './machine.ts';
import type { Accelerator } from './qemu.ts';

/** With KVM a guest is up in two seconds. */
const TRY_MS = 15_000;

export async function accelerator(): Promise<Accelerator> {
  if (!existsSync('/dev/kvm')) return 'tcg';
  const file = path.join(CACHE, `accelerator-${release()}`);
  const known = await readFile(file, 'utf8').catch(() => '');
  if (known === 'kvm' || known === 'tcg') return known;
  const found = await tryKvm();
  await mkdir(CACHE, { recursive: true });
  await writeFile(file, found);
  return found;
}

async function tryKvm(): Promise<Accelerator> {
  try {
    await using machine = await Machine.start({ accelerator: 'kvm', bootMs: TRY_MS });
    await machine.run(['true'], { timeoutMs: TRY_MS });
    return 'kvm';
  } catch {
    return 'tcg';
  }
}
