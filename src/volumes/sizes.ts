import type { VolumeLimits } from '../core/backend.ts';
import { type Bytes, formatBytes, GiB, maxBytes, minBytes, roundUp } from '../core/bytes.ts';
import { DriverError } from '../core/errors.ts';
import type { CapacityRange } from './requests.ts';

/** Size of a volume when the caller asks for none (CSI specification, CreateVolume: implementation-defined). */
const DEFAULT_VOLUME_BYTES: Bytes = GiB;

/**
 * The size of a new volume: what is required, or what its source needs, rounded up.
 * @param sourceBytes size of the content source: the least that a copy of it can have
 * @throws DriverError out-of-range when no size that the backend can make is in the range
 */
export function sizeOfNewVolume(range: CapacityRange, limits: VolumeLimits, sourceBytes?: Bytes): Bytes {
  const { requiredBytes, limitBytes } = range;
  if (sourceBytes !== undefined && limitBytes !== undefined && limitBytes < sourceBytes) {
    throw outOfRange(`limit_bytes is ${show(limitBytes)}, less than the source's ${show(sourceBytes)}`);
  }
  const wanted = maxBytes(requiredBytes ?? sourceBytes ?? defaultSize(limitBytes, limits), sourceBytes ?? 0n);
  return fitted(wanted, limitBytes, limits);
}

/**
 * The size of a volume after its expansion. A volume that is large enough stays as it is (CSI specification,
 * ControllerExpandVolume), unless the limit forbids that.
 * @throws DriverError out-of-range
 */
export function sizeAfterExpansion(range: CapacityRange, limits: VolumeLimits, currentBytes: Bytes): Bytes {
  const { requiredBytes = 0n, limitBytes } = range;
  if (limitBytes !== undefined && currentBytes > limitBytes) {
    throw outOfRange(
      `the volume has ${show(currentBytes)}, more than limit_bytes ${show(limitBytes)}; volumes never shrink`,
    );
  }
  return requiredBytes <= currentBytes ? currentBytes : fitted(requiredBytes, limitBytes, limits);
}

/** True when a volume of this size answers the range. */
export function isInRange(range: CapacityRange, bytes: Bytes): boolean {
  return bytes >= (range.requiredBytes ?? 0n) && (range.limitBytes === undefined || bytes <= range.limitBytes);
}

function defaultSize(limitBytes: Bytes | undefined, { sizeGranularity }: VolumeLimits): Bytes {
  if (limitBytes === undefined) return DEFAULT_VOLUME_BYTES;
  return minBytes(DEFAULT_VOLUME_BYTES, limitBytes - (limitBytes % sizeGranularity));
}

function fitted(wanted: Bytes, limitBytes: Bytes | undefined, limits: VolumeLimits): Bytes {
  const { sizeGranularity, minVolumeBytes, maxVolumeBytes } = limits;
  const size = roundUp(maxBytes(wanted, minVolumeBytes), sizeGranularity);
  if (size > maxVolumeBytes) {
    throw outOfRange(`${show(wanted)} is more than a volume can have here (${show(maxVolumeBytes)})`);
  }
  if (limitBytes !== undefined && size > limitBytes) {
    throw outOfRange(
      `no size of at least ${show(wanted)} fits below limit_bytes ${show(limitBytes)}: ` +
        `sizes here are multiples of ${show(sizeGranularity)}, at least ${show(minVolumeBytes)}`,
    );
  }
  return size;
}

function outOfRange(reason: string): DriverError {
  return new DriverError('out-of-range', `capacity_range: ${reason}`);
}

function show(bytes: Bytes): string {
  return `${bytes} bytes (${formatBytes(bytes)})`;
}
