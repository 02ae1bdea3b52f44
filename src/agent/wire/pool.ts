import type { VolumeLimits } from '../../core/backend.ts';
import type { PoolCapacity } from '../../core/capacity.ts';
import type { CapacityResponse, CapacityResponse__Output } from '../../gen/cofferdam/agent/v1/CapacityResponse.ts';
import type {
  VolumeLimits as WireLimits,
  VolumeLimits__Output as WireLimitsOutput,
} from '../../gen/cofferdam/agent/v1/VolumeLimits.ts';
import type { Wire } from '../../rpc/types.ts';
import { readSize } from './fields.ts';

export function writeLimits(limits: VolumeLimits): Wire<WireLimits> {
  return {
    sizeGranularity: String(limits.sizeGranularity),
    minVolumeBytes: String(limits.minVolumeBytes),
    maxVolumeBytes: String(limits.maxVolumeBytes),
  };
}

export function readLimits(field: string, wire: WireLimitsOutput): VolumeLimits {
  return {
    sizeGranularity: readSize(`${field}.size_granularity`, wire.sizeGranularity),
    minVolumeBytes: readSize(`${field}.min_volume_bytes`, wire.minVolumeBytes),
    maxVolumeBytes: readSize(`${field}.max_volume_bytes`, wire.maxVolumeBytes),
  };
}

export function writeCapacity(capacity: PoolCapacity): Wire<CapacityResponse> {
  return {
    totalBytes: String(capacity.totalBytes),
    freeBytes: String(capacity.freeBytes),
    promisedBytes: String(capacity.promisedBytes),
    availableBytes: String(capacity.availableBytes),
    ...(capacity.metadataUsedShare !== undefined && { metadataUsedShare: capacity.metadataUsedShare }),
  };
}

export function readCapacity(wire: CapacityResponse__Output): PoolCapacity {
  return {
    totalBytes: BigInt(wire.totalBytes),
    freeBytes: BigInt(wire.freeBytes),
    promisedBytes: BigInt(wire.promisedBytes),
    availableBytes: BigInt(wire.availableBytes),
    ...(wire.metadataUsedShare !== undefined && { metadataUsedShare: wire.metadataUsedShare }),
  };
}
