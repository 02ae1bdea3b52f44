import type { AttachedDevice, Backend } from '../core/backend.ts';
import { condition, type VolumeCondition, type VolumeHealth } from '../core/health.ts';
import type { VolumeId } from '../core/ids.ts';
import { ext4Errors, hasShutDown, hasTurnedReadOnly } from '../host/filesystem-errors.ts';
import { type MountEntry, readMountTable } from '../host/mount-table.ts';

/**
 * What is wrong with these volumes of the node, in their order: in the pool, and in the filesystems that are mounted.
 * Looked at from outside: no filesystem is opened or read, so that one that hangs or is broken keeps nobody waiting.
 */
export async function healthOf(
  backend: Backend,
  ids: readonly VolumeId[],
  signal: AbortSignal,
): Promise<readonly VolumeHealth[]> {
  const examined = await backend.examine(ids, signal);
  const mounts = await readMountTable();
  return await Promise.all(
    ids.map(async (id, i) => {
      const { devices = [], conditions = [] } = examined[i] ?? {};
      const mounted = await Promise.all(devices.map((device) => mountedConditions(device, mounts)));
      return { id, conditions: distinct([...conditions, ...mounted.flat()]) };
    }),
  );
}

async function mountedConditions(
  { path, devNumber }: AttachedDevice,
  table: readonly MountEntry[],
): Promise<readonly VolumeCondition[]> {
  const mounts = table.filter((entry) => entry.devNumber === devNumber);
  // The path of one that is covered leads to what covers it.
  const [seen] = mounts.filter(
    (entry) => table.findLast(({ mountPoint }) => mountPoint === entry.mountPoint) === entry,
  );
  if (!seen) return [];
  const filesystem = `the ${seen.fsType} on ${path}`;
  if (await hasShutDown(seen)) {
    return [condition('FilesystemShutDown', `${filesystem} has shut down after an error, and must be mounted anew`)];
  }
  const errors = seen.fsType === 'ext4' ? await ext4Errors(path) : 0;
  return [
    ...(mounts.some(hasTurnedReadOnly)
      ? [condition('FilesystemReadOnly', `${filesystem} has turned read-only after an error`)]
      : []),
    ...(errors > 0 ? [condition('FilesystemErrors', `${filesystem} has counted ${errors} errors: run e2fsck`)] : []),
  ];
}

/** CSI specification, VolumeHealthEntry.reason: each status with a reason once. */
function distinct(conditions: readonly VolumeCondition[]): readonly VolumeCondition[] {
  const first = ({ status, reason }: VolumeCondition) =>
    conditions.find((each) => each.status === status && each.reason === reason);
  return conditions.filter((each) => first(each) === each);
}
