import { DriverError, hasCode } from '../core/errors.ts';
import type { HealthFilter, VolumeHealth } from '../core/health.ts';
import type { NodeAgent } from '../core/node-agent.ts';
import type { Page, PageRequest } from '../core/paging.ts';

/** The longest page of volumes that something is wrong with: what is wrong takes up to 7 KiB each (as `MAX_PAGE_ENTRIES`). */
export const MAX_UNHEALTHY = 500;

/**
 * One node's volumes that something is wrong with.
 * @throws DriverError unavailable when its agent is of a release that can't look: taken for healthy, its volumes would hide
 */
export async function unhealthyOn(
  agent: NodeAgent,
  filter: HealthFilter,
  page: PageRequest,
  signal: AbortSignal,
): Promise<Page<VolumeHealth>> {
  try {
    return await agent.listUnhealthy(filter, page, signal);
  } catch (cause) {
    if (!hasCode(cause, 'unimplemented')) throw cause;
    const reason = `the agent of node ${agent.node} is of a release that can not tell the health of volumes`;
    throw new DriverError('unavailable', reason, { cause });
  }
}
