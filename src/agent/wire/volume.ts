import { invalidArgument } from '../../core/errors.ts';
import type { NodeName } from '../../core/ids.ts';
import { ACCESS_TYPES, type AccessType, type NewVolume, type Volume } from '../../core/volume.ts';
import type {
  CreateVolumeRequest,
  CreateVolumeRequest__Output,
} from '../../gen/cofferdam/agent/v1/CreateVolumeRequest.ts';
import type { Volume as WireVolume, Volume__Output as WireVolumeOutput } from '../../gen/cofferdam/agent/v1/Volume.ts';
import type { Wire } from '../../rpc/types.ts';
import { readContent, readSource, writeContent, writeSource } from './content.ts';
import { readIdOn, readMap, readName, readNode, readSize, readToken, required } from './fields.ts';

export function writeVolume(volume: Volume): Wire<WireVolume> {
  const { id, name, node, parameters, source, accessType } = volume;
  return {
    id,
    name,
    node,
    capacityBytes: String(volume.capacityBytes),
    content: writeContent(volume.content),
    ...(source && { source: writeSource(source) }),
    parameters,
    createdAtMs: String(volume.createdAt),
    ...(accessType && { accessType }),
  };
}

/** @throws DriverError invalid-argument for what is no volume of this node */
export function readVolume(node: NodeName, field: string, wire: WireVolumeOutput | null): Volume {
  const { id, name, source, content, parameters, accessType, ...sizes } = required(field, wire);
  return {
    id: readIdOn(node, `${field}.id`, 'volume', id),
    name: readName(`${field}.name`, name),
    node: readNode(node, `${field}.node`, sizes.node),
    capacityBytes: readSize(`${field}.capacity_bytes`, sizes.capacityBytes),
    content: readContent(`${field}.content`, content),
    ...(accessType !== undefined && { accessType: readAccessType(`${field}.access_type`, accessType) }),
    ...(source && { source: readSource(node, `${field}.source`, source) }),
    parameters: readMap(`${field}.parameters`, parameters),
    createdAt: Number(sizes.createdAtMs),
  };
}

export function writeNewVolume(volume: NewVolume): Wire<CreateVolumeRequest> {
  const { id, name, capacityBytes, source, parameters, claim, accessType } = volume;
  return {
    id,
    name,
    capacityBytes: String(capacityBytes),
    ...(source && { source: writeSource(source) }),
    parameters,
    ...(claim !== undefined && { claim }),
    ...(accessType && { accessType }),
  };
}

/** @throws DriverError invalid-argument for what can't be made on this node */
export function readNewVolume(node: NodeName, wire: CreateVolumeRequest__Output): NewVolume {
  const id = readIdOn(node, 'id', 'volume', wire.id);
  const source = wire.source && readSource(node, 'source', wire.source);
  if (source?.id === id) throw invalidArgument('source.volume_id', 'a volume is no copy of itself');
  return {
    id,
    name: readName('name', wire.name),
    capacityBytes: readSize('capacity_bytes', wire.capacityBytes),
    ...(source && { source }),
    parameters: readMap('parameters', wire.parameters),
    ...(wire.claim !== undefined && { claim: readToken('claim', wire.claim) }),
    ...(wire.accessType !== undefined && { accessType: readAccessType('access_type', wire.accessType) }),
  };
}

function readAccessType(field: string, value: string): AccessType {
  const accessType = ACCESS_TYPES.find((each) => each === value);
  if (!accessType) throw invalidArgument(field, `must be one of ${ACCESS_TYPES.join(', ')}`);
  return accessType;
}
