/** What is wrong with volumes below their filesystems: the thin pool, and the thin volumes in it. */
import type { AttachedDevice, Examination } from '../../core/backend.ts';
import { hasCode, isErrno, messageOf } from '../../core/errors.ts';
import { condition, type VolumeCondition } from '../../core/health.ts';
import type { Volume } from '../../core/volume.ts';
import { hasThinFailed } from '../../host/thin-pool.ts';
import type { Devices } from './devices.ts';
import { volumeName } from './layout.ts';
import type { Pool } from './pool.ts';

export async function examine(
  pool: Pool,
  devices: Devices,
  volumes: readonly Volume[],
  signal: AbortSignal,
): Promise<readonly Examination[]> {
  const ofPool = await poolConditions(pool, signal);
  return await Promise.all(
    volumes.map(async (volume) => {
      const attached = await devices.of(volume.id);
      return { devices: attached, conditions: [...ofPool, ...(await volumeConditions(pool, volume, attached))] };
    }),
  );
}

async function poolConditions(pool: Pool, signal: AbortSignal): Promise<readonly VolumeCondition[]> {
  try {
    const { mode, needsCheck } = await pool.status(signal);
    return [
      ...(mode === 'out_of_data_space'
        ? [condition('PoolFull', 'the thin pool has no space left: what needs new space can not be written')]
        : []),
      ...(mode === 'ro'
        ? [condition('PoolReadOnly', 'the thin pool has turned read-only: what needs new space can not be written')]
        : []),
      ...(needsCheck
        ? [condition('PoolNeedsCheck', 'the metadata of the thin pool must be checked and repaired')]
        : []),
    ];
  } catch (error) {
    if (hasCode(error, 'data-loss')) return [condition('PoolFailed', messageOf(error))];
    if (isErrno(error, 'ENXIO')) return [condition('PoolNotActive', 'the thin pool is not active')];
    throw error;
  }
}

async function volumeConditions(
  { lvm, mapper }: Pool,
  { id }: Volume,
  attached: readonly AttachedDevice[],
): Promise<readonly VolumeCondition[]> {
  const writable = attached.find(({ readOnly }) => !readOnly);
  if (!writable) return [];
  try {
    if (!(await hasThinFailed(mapper, lvm.deviceName(volumeName(id))))) return [];
    return [
      condition('VolumeFailed', `the thin volume has failed: nothing on ${writable.path} can be read or written`),
    ];
  } catch (error) {
    // Detached since it was found.
    if (isErrno(error, 'ENXIO')) return [];
    throw error;
  }
}
