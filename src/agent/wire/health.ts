import { invalidArgument } from '../../core/errors.ts';
import type { VolumeCondition, VolumeHealth, VolumeStatus } from '../../core/health.ts';
import type { NodeName } from '../../core/ids.ts';
import type { VolumeCondition__Output as WireConditionOutput } from '../../gen/cofferdam/agent/v1/VolumeCondition.ts';
import type {
  VolumeHealth as WireHealth,
  VolumeHealth__Output as WireHealthOutput,
} from '../../gen/cofferdam/agent/v1/VolumeHealth.ts';
import type { Wire } from '../../rpc/types.ts';
import { readIdOn, readValue } from './fields.ts';

const STATUSES = {
  degraded: 'DEGRADED',
  inaccessible: 'INACCESSIBLE',
  'data-loss': 'DATA_LOSS',
} as const satisfies Record<VolumeStatus, string>;

/** Also of later releases, so that a page of them fits in an answer of the CSI (`MAX_UNHEALTHY`). */
const MAX_CONDITIONS = 8;
const REASON = /^[A-Z][A-Za-z0-9]{0,63}$/;
const MAX_MESSAGE_CHARACTERS = 256;

export function writeHealth({ id, conditions }: VolumeHealth): Wire<WireHealth> {
  return {
    volumeId: id,
    conditions: conditions
      .slice(0, MAX_CONDITIONS)
      .map(({ status, reason, message }) => ({ status: STATUSES[status], reason, message: shortened(message) })),
  };
}

/** @throws DriverError invalid-argument for what is no volume of this node, or has nothing wrong with it */
export function readHealth(node: NodeName, field: string, { volumeId, conditions }: WireHealthOutput): VolumeHealth {
  if (conditions.length === 0) throw invalidArgument(`${field}.conditions`, 'required');
  if (conditions.length > MAX_CONDITIONS) throw invalidArgument(`${field}.conditions`, `more than ${MAX_CONDITIONS}`);
  return {
    id: readIdOn(node, `${field}.volume_id`, 'volume', volumeId),
    conditions: conditions.map((each) => readCondition(`${field}.conditions`, each)),
  };
}

function readCondition(field: string, { status, reason, message }: WireConditionOutput): VolumeCondition {
  if (!REASON.test(reason)) throw invalidArgument(`${field}.reason`, 'is not a short word in CamelCase');
  return { status: readValue(`${field}.status`, STATUSES, status), reason, message: shortened(message) };
}

function shortened(message: string): string {
  return message.length > MAX_MESSAGE_CHARACTERS ? `${message.slice(0, MAX_MESSAGE_CHARACTERS)}...` : message;
}
