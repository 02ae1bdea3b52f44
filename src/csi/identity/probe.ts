import type { IdentityDefinition } from '../../gen/csi/v1/Identity.ts';
import type { Handler } from '../../rpc/types.ts';
import type { CsiOptions } from '../options.ts';

/** A driver that starts is healthy, and not ready (CSI specification, Probe). */
export function probe({ ready }: CsiOptions): Handler<IdentityDefinition, 'Probe'> {
  return async () => ({ ready: { value: ready() } });
}
