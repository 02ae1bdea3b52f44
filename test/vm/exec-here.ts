import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { ROOT } from '../support/command.ts';
import type { ExecOptions } from './machine.ts';
import type { GuestResult } from './protocol.ts';

const EXEC_MS = 300_000;

/** As `Machine.exec`, on this machine. */
export async function execHere(argv: readonly string[], options: ExecOptions = {}): Promise<GuestResult> {
  const { cwd = ROOT, env = {}, input = '', timeoutMs = EXEC_MS } = options;
  const [file = '', ...args] = argv;
  const child = spawn(file, args, { cwd, env: { ...process.env, ...env }, timeout: timeoutMs, killSignal: 'SIGKILL' });
  child.stdin.on('error', () => undefined); // it may end before it has read
  child.stdin.end(input);
  const ended = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>;
  const [stdout, stderr, [code, signal]] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  return { code, signal, stdout, stderr };
}
