/** A controller over simulated nodes, and what the part `scale` has it do. */
import path from 'node:path';
import { GiB } from '../../src/core/bytes.ts';
import { TOPOLOGY_KEY } from '../../src/core/names.ts';
import { SimulatedNodes } from '../../test/support/simulated/nodes.ts';
import { simulatedNode, simulatedSnapshot, simulatedVolume } from '../../test/support/simulated/pool.ts';
import { controllerCommand } from './cofferdam.ts';
import { type DriverProcess, launch } from './driver-process.ts';

/** Over all nodes, however many there are. */
export const VOLUMES = 100_000;
const SNAPSHOTS_PER_VOLUME = 10;
export const SNAPSHOTS = VOLUMES * SNAPSHOTS_PER_VOLUME;
export const PAGE = 100;
/** A call is about one of so many nodes, everywhere: of more nodes more would have to be connected to first. */
export const CALLED = 10;
export const MEMBERS = 64;
export const WALK_PAGE = 1000;

const CAPABILITIES = [
  { mount: { fsType: '', mountFlags: [] as string[] }, accessMode: { mode: 'SINGLE_NODE_WRITER' as const } },
];

export interface Subject {
  readonly nodes: number;
  readonly driver: DriverProcess;
}

/** @param nodes divides the number of volumes */
export async function startSubject(nodes: number, folder: string, resources: AsyncDisposableStack): Promise<Subject> {
  const plan = { nodes, volumes: VOLUMES / nodes, snapshotsPerVolume: SNAPSHOTS_PER_VOLUME };
  const simulated = resources.use(await SimulatedNodes.start(plan));
  const list = path.join(folder, `agents-${nodes}`);
  await simulated.writeList(list);
  const command = controllerCommand(['--agents-file', list, '--insecure']);
  return { nodes, driver: resources.use(await launch({ folder, name: `over-${nodes}`, command })) };
}

export interface ScaleCall {
  readonly title: string;
  /** Asks as many nodes as there are members: of fewer there is nothing to compare. */
  readonly spread?: true;
  readonly run: (subject: Subject, turn: number) => Promise<unknown>;
}

export const FIRST_CALL: ScaleCall = {
  title: 'first call to a node, which it connects for',
  run: getVolume,
};

export const AFTER_WALK: ScaleCall = {
  title: 'ControllerGetVolume while all nodes are connected',
  run: getVolume,
};

export const CALLS: readonly ScaleCall[] = [
  { title: 'ControllerGetVolume', run: getVolume },
  {
    title: 'GetSnapshot',
    run: (subject, turn) => {
      const snapshotId = simulatedSnapshot(nodeOf(subject, turn), turn % (SNAPSHOTS / subject.nodes));
      return subject.driver.client.controller.GetSnapshot({ snapshotId });
    },
  },
  {
    title: 'CreateSnapshot',
    run: (subject, turn) =>
      subject.driver.client.controller.CreateSnapshot({
        name: `snapshot-${turn}`,
        sourceVolumeId: simulatedVolume(nodeOf(subject, turn), 0),
      }),
  },
  {
    title: 'CreateVolume on a node',
    run: (subject, turn) =>
      subject.driver.client.controller.CreateVolume({
        name: `volume-${turn}`,
        volumeCapabilities: CAPABILITIES,
        capacityRange: { requiredBytes: String(GiB) },
        accessibilityRequirements: { requisite: [{ segments: { [TOPOLOGY_KEY]: nodeOf(subject, turn) } }] },
      }),
  },
  {
    title: `ListVolumes, the first ${PAGE}`,
    run: async ({ driver }) => {
      expectPage((await driver.client.controller.ListVolumes({ maxEntries: PAGE })).entries.length);
    },
  },
  { title: `ListSnapshots, the first ${PAGE}`, run: (subject) => listSnapshots(subject, '') },
  {
    title: `ListSnapshots, ${PAGE} from the middle`,
    // A token is an id: volumes/page-tokens.ts.
    run: (subject) => {
      const id = simulatedSnapshot(simulatedNode(subject.nodes / 2), PAGE);
      return listSnapshots(subject, id.replace('snap-', 'v1s.'));
    },
  },
  {
    title: `group snapshot, ${MEMBERS} members on as many nodes`,
    spread: true,
    run: ({ driver, nodes }, turn) => {
      const node = (member: number) => simulatedNode(Math.floor((member * nodes) / MEMBERS));
      const sourceVolumeIds = Array.from({ length: MEMBERS }, (_, i) => simulatedVolume(node(i), 1));
      return driver.client.group.CreateVolumeGroupSnapshot({ name: `group-${turn}`, sourceVolumeIds });
    },
  },
];

/** Through all snapshots. @returns how many each page had */
export async function* walk({ driver }: Subject): AsyncGenerator<number> {
  let startingToken = '';
  do {
    const page = await driver.client.controller.ListSnapshots({ maxEntries: WALK_PAGE, startingToken });
    yield page.entries.length;
    startingToken = page.nextToken;
  } while (startingToken !== '');
}

function nodeOf({ nodes }: Subject, turn: number): string {
  return simulatedNode(Math.floor(((turn % CALLED) * nodes) / CALLED));
}

async function getVolume(subject: Subject, turn: number): Promise<void> {
  await subject.driver.client.controller.ControllerGetVolume({ volumeId: simulatedVolume(nodeOf(subject, turn), 0) });
}

async function listSnapshots({ driver }: Subject, startingToken: string): Promise<void> {
  expectPage((await driver.client.controller.ListSnapshots({ maxEntries: PAGE, startingToken })).entries.length);
}

function expectPage(entries: number): void {
  if (entries !== PAGE) throw new Error(`the page has ${entries} entries`);
}
