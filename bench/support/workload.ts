/** What clients do to a driver in the part `rpc`. */
import { GiB } from '../../src/core/bytes.ts';
import { mapLimited } from '../../src/core/concurrency.ts';
import type { CsiClient } from '../../src/prove/csi-client.ts';
import type { Action } from './clients.ts';
import type { DriverProcess } from './driver-process.ts';

export const PAGE = 100;

const CAPABILITIES = [
  { mount: { fsType: '', mountFlags: [] as string[] }, accessMode: { mode: 'SINGLE_NODE_WRITER' as const } },
];

/** A driver that is being measured. */
export interface Subject {
  readonly name: string;
  readonly driver: DriverProcess;
  /** A source for each client: two snapshots of one volume at a time are refused. */
  readonly sources: readonly string[];
  /** Those that exist, besides the ones that an action makes and deletes. */
  readonly snapshotIds: readonly string[];
  fillTo(count: number, signal: AbortSignal): Promise<void>;
}

export async function subjectOf(name: string, driver: DriverProcess, clients: number): Promise<Subject> {
  const { controller } = driver.client;
  const sources: string[] = [];
  for (let client = 0; client < clients; client++) sources.push(await createVolume(controller, `source-${client}`));
  const snapshotIds: string[] = [];
  return {
    name,
    driver,
    sources,
    snapshotIds,
    fillTo: async (count, signal) => {
      const indexes = Array.from({ length: Math.max(0, count - snapshotIds.length) }, (_, i) => snapshotIds.length + i);
      // One lane for each source, for the same reason.
      const lanes = sources.map((source, lane) => ({
        source,
        own: indexes.filter((index) => index % clients === lane),
      }));
      await mapLimited(lanes, clients, async ({ source, own }) => {
        for (const index of own) {
          signal.throwIfAborted();
          snapshotIds.push(await createSnapshot(controller, `fill-${index}`, source));
        }
      });
    },
  };
}

interface NamedAction {
  readonly title: string;
  readonly action: (subject: Subject) => Action;
}

export const ACTIONS: readonly NamedAction[] = [
  {
    title: 'CreateVolume + DeleteVolume',
    action: ({ driver: { client } }) => {
      const run = unique();
      return async (lane, turn) => {
        const volumeId = await createVolume(client.controller, `volume-${run}-${lane}-${turn}`);
        await client.controller.DeleteVolume({ volumeId });
      };
    },
  },
  {
    title: 'CreateSnapshot + DeleteSnapshot',
    action: ({ driver: { client }, sources }) => {
      const run = unique();
      return async (lane, turn) => {
        const source = sources[lane] ?? '';
        const snapshotId = await createSnapshot(client.controller, `snapshot-${run}-${lane}-${turn}`, source);
        await client.controller.DeleteSnapshot({ snapshotId });
      };
    },
  },
  {
    title: `ListSnapshots, a page of ${PAGE}`,
    action:
      ({ driver: { client }, snapshotIds }) =>
      async () => {
        const { entries } = await client.controller.ListSnapshots({ maxEntries: PAGE });
        if (entries.length < Math.min(PAGE, snapshotIds.length)) throw new Error('the page is not full');
      },
  },
  {
    title: 'ListSnapshots by id',
    action:
      ({ driver: { client }, snapshotIds }) =>
      async (lane, turn) => {
        // 7919 is prime: all over the list.
        const snapshotId = snapshotIds[((lane + 1) * (turn + 1) * 7919) % snapshotIds.length] ?? '';
        const { entries } = await client.controller.ListSnapshots({ snapshotId });
        if (entries.length !== 1) throw new Error(`${snapshotId} is not listed`);
      },
  },
];

function unique(): string {
  return process.hrtime.bigint().toString(36);
}

async function createVolume(controller: CsiClient['controller'], name: string): Promise<string> {
  const capacityRange = { requiredBytes: String(GiB) };
  const { volume } = await controller.CreateVolume({ name, capacityRange, volumeCapabilities: CAPABILITIES });
  return volume?.volumeId ?? '';
}

async function createSnapshot(controller: CsiClient['controller'], name: string, sourceVolumeId: string) {
  const { snapshot } = await controller.CreateSnapshot({ name, sourceVolumeId });
  return snapshot?.snapshotId ?? '';
}
