import { setTimeout as sleep } from 'node:timers/promises';
import { DriverError } from '../core/errors.ts';
import type { CleanupScope } from './cleanup.ts';
import { type CsiClient, persist } from './csi-client.ts';
import type { DriverFacts } from './driver.ts';

export interface GroupRequest {
  readonly name: string;
  /** In the order in which the call shall name them. */
  readonly volumeIds: readonly string[];
  readonly parameters: Readonly<Record<string, string>>;
  /** Told of every attempt that failed and is made again. */
  readonly onRetry: (error: unknown) => void;
}

export interface TakenGroup {
  /** Absent when the driver has no groups and the snapshots were taken one by one. */
  readonly groupId?: string;
  /** Snapshot ids by volume id. */
  readonly snapshotIds: ReadonlyMap<string, string>;
}

const READY_LIMIT_MS = 120_000;
const POLL_MS = 100;

/** Takes the snapshots of one round, ready to use when this resolves; `scope` deletes them. */
export async function takeGroup(
  client: CsiClient,
  driver: DriverFacts,
  request: GroupRequest,
  scope: CleanupScope,
): Promise<TakenGroup> {
  return driver.groups ? await takeTogether(client, request, scope) : await takeOneByOne(client, request, scope);
}

async function takeTogether(
  client: CsiClient,
  { name, volumeIds, parameters, onRetry }: GroupRequest,
  scope: CleanupScope,
): Promise<TakenGroup> {
  const create = async () => {
    const wire = { name, sourceVolumeIds: volumeIds, parameters };
    const { groupSnapshot } = await persist(
      (options) => client.group.CreateVolumeGroupSnapshot(wire, options),
      onRetry,
    );
    if (!groupSnapshot) throw new DriverError('internal', "the driver's answer to CreateVolumeGroupSnapshot is empty");
    return groupSnapshot;
  };
  const taken = await scope.make(
    `group snapshot ${name}`,
    () => untilReady(name, create),
    async ({ groupSnapshotId, snapshots }) => {
      const snapshotIds = snapshots.map(({ snapshotId }) => snapshotId);
      const wire = { groupSnapshotId, snapshotIds };
      await persist((options) => client.group.DeleteVolumeGroupSnapshot(wire, options));
    },
  );
  const snapshotIds = new Map(taken.snapshots.map(({ sourceVolumeId, snapshotId }) => [sourceVolumeId, snapshotId]));
  const absent = volumeIds.filter((id) => !snapshotIds.has(id));
  if (absent.length > 0 || snapshotIds.size !== volumeIds.length) {
    const reason = `the group snapshot ${name} has ${snapshotIds.size} members, not the ${volumeIds.length} asked for`;
    throw new DriverError('data-loss', absent.length > 0 ? `${reason}; ${absent.join(', ')} missing` : reason);
  }
  return { groupId: taken.groupSnapshotId, snapshotIds };
}

async function takeOneByOne(
  client: CsiClient,
  { name, volumeIds, parameters, onRetry }: GroupRequest,
  scope: CleanupScope,
): Promise<TakenGroup> {
  const snapshotIds = new Map<string, string>();
  for (const [i, sourceVolumeId] of volumeIds.entries()) {
    const wire = { name: `${name}-${i + 1}`, sourceVolumeId, parameters };
    const create = async () => {
      const { snapshot } = await persist((options) => client.controller.CreateSnapshot(wire, options), onRetry);
      if (!snapshot) throw new DriverError('internal', "the driver's answer to CreateSnapshot is empty");
      return snapshot;
    };
    const { snapshotId } = await scope.make(
      `snapshot ${wire.name}`,
      () => untilReady(wire.name, create),
      async (snapshot) => {
        const { snapshotId } = snapshot;
        await persist((options) => client.controller.DeleteSnapshot({ snapshotId }, options));
      },
    );
    snapshotIds.set(sourceVolumeId, snapshotId);
  }
  return { snapshotIds };
}

/** The same call again says how far it is: that is how the sidecars ask. */
async function untilReady<T extends { readonly readyToUse: boolean }>(
  name: string,
  create: () => Promise<T>,
): Promise<T> {
  for (const deadline = performance.now() + READY_LIMIT_MS; ; ) {
    const taken = await create();
    if (taken.readyToUse) return taken;
    if (performance.now() > deadline)
      throw new DriverError('deadline-exceeded', `${name} does not become ready to use`);
    await sleep(POLL_MS);
  }
}
