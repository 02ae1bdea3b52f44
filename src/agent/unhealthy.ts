import type { Backend } from '../core/backend.ts';
import type { HealthFilter, VolumeHealth } from '../core/health.ts';
import type { VolumeId } from '../core/ids.ts';
import type { Page, PageRequest } from '../core/paging.ts';

/** Looks for what is wrong with volumes of this node, in their order. */
export type HealthOf = (ids: readonly VolumeId[], signal: AbortSignal) => Promise<readonly VolumeHealth[]>;

/** Volumes that are looked at in one go: each look goes over all mounts and devices of the node once. */
const LOOK_AT_ONCE = 256;

/** A page of the volumes that something is wrong with; see `NodeAgent.listUnhealthy`. */
export async function pageOfUnhealthy(
  backend: Backend,
  healthOf: HealthOf,
  { volumeId }: HealthFilter,
  { after = '', limit = Number.POSITIVE_INFINITY }: PageRequest,
  signal: AbortSignal,
): Promise<Page<VolumeHealth>> {
  if (volumeId !== undefined) {
    const asked = volumeId > after && limit > 0 ? [volumeId] : [];
    return { items: (await healthOf(asked, signal)).filter(isUnhealthy) };
  }
  const items: VolumeHealth[] = [];
  for (let start: string | undefined = after; start !== undefined && limit > 0; ) {
    signal.throwIfAborted();
    const page: Page<{ readonly id: VolumeId }> = await backend.listVolumes({ after: start, limit: LOOK_AT_ONCE });
    const found = await healthOf(
      page.items.map(({ id }) => id),
      signal,
    );
    for (const each of found.filter(isUnhealthy)) {
      const last = items.at(-1);
      if (last && items.length === limit) return { items, next: last.id };
      items.push(each);
    }
    start = page.next;
  }
  return { items };
}

function isUnhealthy({ conditions }: VolumeHealth): boolean {
  return conditions.length > 0;
}
