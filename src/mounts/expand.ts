import type { Bytes } from '../core/bytes.ts';
import { DriverError } from '../core/errors.ts';
import { failpoint } from '../core/failpoint.ts';
import { asFsType } from '../core/volume.ts';
import { deviceBytes } from '../host/filesystem.ts';
import { type NodeContext, requireVolume } from './context.ts';
import { growMounted, hasRoomToGrow } from './grow.ts';
import { locate } from './placement.ts';
import type { ExpandRequest } from './requests.ts';
import { requirePlaced } from './stats.ts';

/** Grows the filesystem to the volume's size, while it is in use. @returns that size, in bytes */
export async function expand(context: NodeContext, request: ExpandRequest, signal: AbortSignal): Promise<Bytes> {
  const present = await requirePlaced(context, request);
  const volume = await requireVolume(context, request.volumeId);
  const { capacityBytes } = volume;
  requireInRange(capacityBytes, request);
  if ((await deviceBytes(present.device.path)) < capacityBytes) {
    // The controller's expansion was cut short after it was written down.
    await context.backend.expandVolume(volume.id, capacityBytes, signal);
  }
  if (present.kind === 'block') return await deviceBytes(present.device.path);
  const fsType = asFsType(present.fsType);
  if (fsType && (await hasRoomToGrow(present.device.path, fsType))) {
    const { filesystems } = await locate(context.backend, volume.id);
    const writable = filesystems.find((mount) => mount.whole && !mount.readOnly);
    if (!writable) {
      throw new DriverError('failed-precondition', 'the volume is mounted read-only: its filesystem can not grow now');
    }
    await failpoint('expand.grow');
    await growMounted(present.device.path, fsType, writable.path);
    await failpoint('expand.grown');
  }
  return capacityBytes;
}

function requireInRange(capacityBytes: Bytes, { requiredBytes = 0n, limitBytes = capacityBytes }: ExpandRequest): void {
  const has = `capacity_range: the volume has ${capacityBytes} bytes`;
  if (capacityBytes < requiredBytes) {
    const reason = `${has}, less than required_bytes ${requiredBytes}; ControllerExpandVolume comes first`;
    throw new DriverError('out-of-range', reason);
  }
  if (capacityBytes > limitBytes) throw new DriverError('out-of-range', `${has}, more than limit_bytes ${limitBytes}`);
}
