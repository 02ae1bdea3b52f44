import { DriverError, notFound } from '../../core/errors.ts';
import type { NodeExpandVolumeRequest__Output } from '../../gen/csi/v1/NodeExpandVolumeRequest.ts';
import type { NodeGetVolumeStatsRequest__Output } from '../../gen/csi/v1/NodeGetVolumeStatsRequest.ts';
import type { NodePublishVolumeRequest__Output } from '../../gen/csi/v1/NodePublishVolumeRequest.ts';
import type { NodeStageVolumeRequest__Output } from '../../gen/csi/v1/NodeStageVolumeRequest.ts';
import type { NodeUnpublishVolumeRequest__Output } from '../../gen/csi/v1/NodeUnpublishVolumeRequest.ts';
import type { NodeUnstageVolumeRequest__Output } from '../../gen/csi/v1/NodeUnstageVolumeRequest.ts';
import type {
  ExpandRequest,
  PublishRequest,
  StageRequest,
  StatsRequest,
  UnpublishRequest,
  UnstageRequest,
} from '../../mounts/requests.ts';
import { requiredCapability } from './capability.ts';
import { parseCapacityRange } from './capacity-range.ts';
import { checkUnusedMaps, requiredId } from './fields.ts';
import { optionalPath, requiredPath, requiredVolumePath } from './path.ts';

/** CSI specification, "NodeStageVolume Errors" and "NodePublishVolume Errors": exceeds capabilities. */
const EXCEEDS_CAPABILITIES = 'failed-precondition';

export function parseStage(wire: NodeStageVolumeRequest__Output): StageRequest {
  const volumeId = requiredId('volume_id', wire.volumeId);
  const stagingPath = requiredPath('staging_target_path', wire.stagingTargetPath);
  const capability = requiredCapability('volume_capability', wire.volumeCapability, EXCEEDS_CAPABILITIES);
  const { publishContext, volumeContext, secrets } = wire;
  checkUnusedMaps({ publish_context: publishContext, volume_context: volumeContext, secrets });
  return { volumeId, stagingPath, capability };
}

export function parseUnstage(wire: NodeUnstageVolumeRequest__Output): UnstageRequest {
  const volumeId = requiredId('volume_id', wire.volumeId);
  return { volumeId, stagingPath: requiredPath('staging_target_path', wire.stagingTargetPath) };
}

export function parsePublish(wire: NodePublishVolumeRequest__Output): PublishRequest {
  const volumeId = requiredId('volume_id', wire.volumeId);
  const targetPath = requiredPath('target_path', wire.targetPath);
  const capability = requiredCapability('volume_capability', wire.volumeCapability, EXCEEDS_CAPABILITIES);
  const { publishContext, volumeContext, secrets } = wire;
  checkUnusedMaps({ publish_context: publishContext, volume_context: volumeContext, secrets });
  const stagingPath = optionalPath('staging_target_path', wire.stagingTargetPath);
  if (stagingPath === undefined) {
    // Last, and not INVALID_ARGUMENT: CSI specification, "NodePublishVolume Errors", staging target path not set.
    throw new DriverError('failed-precondition', 'staging_target_path: required, the volume is staged first');
  }
  return { volumeId, targetPath, capability, stagingPath, readOnly: wire.readonly };
}

export function parseUnpublish(wire: NodeUnpublishVolumeRequest__Output): UnpublishRequest {
  const volumeId = requiredId('volume_id', wire.volumeId);
  return { volumeId, targetPath: requiredPath('target_path', wire.targetPath) };
}

export function parseStats(wire: NodeGetVolumeStatsRequest__Output): StatsRequest {
  const volumeId = requiredId('volume_id', wire.volumeId);
  return { volumeId, volumePath: placeOf(volumeId, wire.volumePath) };
}

/** Capability and range may be missing; csi-sanity wants an unknown volume to be NOT_FOUND whatever else is wrong. */
export function parseExpand(wire: NodeExpandVolumeRequest__Output): ExpandRequest {
  const volumeId = requiredId('volume_id', wire.volumeId);
  const volumePath = placeOf(volumeId, wire.volumePath);
  const range = parseCapacityRange('capacity_range', wire.capacityRange);
  // CSI specification, "NodeExpandVolume Errors": exceeds capabilities is INVALID_ARGUMENT in this RPC.
  if (wire.volumeCapability) requiredCapability('volume_capability', wire.volumeCapability, 'invalid-argument');
  checkUnusedMaps({ secrets: wire.secrets });
  return { volumeId, volumePath, ...range };
}

function placeOf(volumeId: string, wirePath: string): string {
  const path = requiredVolumePath('volume_path', wirePath);
  if (path === undefined) throw notFound('volume', `${volumeId} at ${wirePath.slice(0, 100)}`);
  return path;
}
