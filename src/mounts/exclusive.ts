/**
 * Which target has its volume to itself (ReadWriteOncePod). The kernel knows no access modes, so this one fact is written
 * down: a file in the data folder that names the target, made before the mount. It is believed only while the volume is
 * mounted there (docs/design.md, invariant 10), so what a crash leaves says nothing, and it need not survive a power cut,
 * which no mount does either.
 */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isErrno } from '../core/errors.ts';
import { localOf, type VolumeId } from '../core/ids.ts';
import type { NodeContext } from './context.ts';
import type { FilesystemMount, NodeMount, Placement } from './placement.ts';

/** What is mounted at the target that has the volume to itself; undefined when none has. */
export async function exclusiveMount(
  context: NodeContext,
  id: VolumeId,
  { filesystems, nodes }: Placement,
): Promise<FilesystemMount | NodeMount | undefined> {
  const target = await readIfThere(fileOf(context, id));
  return [...filesystems, ...nodes].find(({ path }) => path === target);
}

/** Writes down, before a target is mounted, whether it has the volume to itself. */
export async function markTarget(
  context: NodeContext,
  id: VolumeId,
  target: string,
  { exclusive }: { readonly exclusive: boolean },
): Promise<void> {
  if (!exclusive) return await unmarkTarget(context, id, target);
  const file = fileOf(context, id);
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  // Never half written for a reader to see: one call at a time works on a volume, and a crash leaves nothing mounted.
  await writeFile(file, target, { mode: 0o600 });
}

/** After a target was unmounted. */
export async function unmarkTarget(context: NodeContext, id: VolumeId, target: string): Promise<void> {
  const file = fileOf(context, id);
  if ((await readIfThere(file)) === target) await rm(file, { force: true });
}

function fileOf({ dataDir }: NodeContext, id: VolumeId): string {
  return join(dataDir, 'exclusive', localOf(id));
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}
