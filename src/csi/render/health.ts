import type { VolumeHealth, VolumeStatus } from '../../core/health.ts';
import type { VolumeHealth as HealthMessage } from '../../gen/csi/v1/VolumeHealth.ts';
import type { Wire } from '../../rpc/types.ts';

const STATUSES = {
  degraded: 'DEGRADED',
  inaccessible: 'INACCESSIBLE',
  'data-loss': 'DATA_LOSS',
} as const satisfies Record<VolumeStatus, string>;

export function renderHealth({ id, conditions }: VolumeHealth): Wire<HealthMessage> {
  return {
    volumeId: id,
    healthStatuses: conditions.map(({ status, reason, message }) => ({ status: STATUSES[status], reason, message })),
  };
}
