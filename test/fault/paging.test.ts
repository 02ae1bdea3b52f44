/** Lists in pages, while what they list comes and goes. */
import { expect, test } from '@jest/globals';
import { type Csi, codeOf, mountCapability } from '../support/csi.ts';
import { World } from './world.ts';

const SOURCES = 8;
const SNAPSHOTS_EACH = 130;
const WALKS = 12;
const MiB = 1 << 20;

interface Page {
  readonly ids: readonly string[];
  readonly nextToken: string;
}
type List = (csi: Csi, startingToken: string, maxEntries: number) => Promise<Page>;

const listSnapshots =
  (sourceVolumeId = ''): List =>
  async (csi, startingToken, maxEntries) => {
    const { entries, nextToken } = await csi.controller.ListSnapshots({ startingToken, maxEntries, sourceVolumeId });
    return { ids: entries.map(({ snapshot }) => snapshot?.snapshotId ?? ''), nextToken };
  };

const listVolumes: List = async (csi, startingToken, maxEntries) => {
  const { entries, nextToken } = await csi.controller.ListVolumes({ startingToken, maxEntries });
  return { ids: entries.map(({ volume }) => volume?.volumeId ?? ''), nextToken };
};

async function walk(csi: Csi, list: List, maxEntries: number): Promise<readonly string[]> {
  const seen: string[] = [];
  let token = '';
  do {
    const page = await list(csi, token, maxEntries);
    if (page.ids.length > maxEntries) throw new Error(`${page.ids.length} entries on a page of ${maxEntries}`);
    seen.push(...page.ids);
    token = page.nextToken;
  } while (token !== '');
  return seen;
}

/** What stays is seen exactly once, and what comes and goes at most once. */
function expectEachOnce(seen: readonly string[], staying: ReadonlySet<string>): void {
  expect(new Set(seen).size).toBe(seen.length);
  expect(staying.difference(new Set(seen)).size).toBe(0);
}

async function takeSnapshots(csi: Csi, sourceVolumeId: string, prefix: string, count: number): Promise<string[]> {
  const ids: string[] = [];
  for (let i = 0; i < count; i++) {
    const { snapshot } = await csi.controller.CreateSnapshot({ name: `${prefix} ${i}`, sourceVolumeId });
    ids.push(snapshot?.snapshotId ?? '');
  }
  return ids;
}

/** Makes and deletes snapshots and volumes, always others. */
async function churn(csi: Csi, sourceVolumeId: string, ended: () => boolean): Promise<number> {
  let count = 0;
  for (; !ended(); count++) {
    const name = `churn ${count} of ${sourceVolumeId}`;
    const [snapshotId = ''] = await takeSnapshots(csi, sourceVolumeId, name, 1);
    const volumeCapabilities = [mountCapability()];
    const { volume } = await csi.controller.CreateVolume({
      name,
      volumeCapabilities,
      volumeContentSource: { snapshot: { snapshotId } },
    });
    await csi.controller.DeleteSnapshot({ snapshotId });
    await csi.controller.DeleteVolume({ volumeId: volume?.volumeId ?? '' });
  }
  return count;
}

test('pages of more than a thousand snapshots, while eight clients make and delete others', async () => {
  await using world = await World.open({ quiet: true, flags: ['--log-level', 'warn'] });
  const { csi } = world;
  const sources = await Promise.all(
    Array.from({ length: SOURCES }, async (_, i) => world.create(`source ${i}`, 16 * MiB)),
  );
  const clients = await Promise.all(sources.map(async () => world.serve.connect()));
  const own = await Promise.all(
    sources.map(async (source, i) => takeSnapshots(clients[i] ?? csi, source, `stays with ${i}`, SNAPSHOTS_EACH)),
  );
  const staying = new Set(own.flat());
  expect(staying.size).toBe(SOURCES * SNAPSHOTS_EACH);

  let ended = false;
  const churning = Promise.all(sources.map(async (source, i) => churn(clients[i] ?? csi, source, () => ended)));
  churning.catch(() => undefined); // awaited below
  try {
    for (let i = 0; i < WALKS; i++) {
      expectEachOnce(await walk(csi, listSnapshots(), 7 + 29 * i), staying);
      const source = i % SOURCES;
      expectEachOnce(await walk(csi, listSnapshots(sources[source]), 11), new Set(own[source]));
      expectEachOnce(await walk(csi, listVolumes, 3), new Set(sources));
    }
  } finally {
    ended = true;
  }
  const rounds = await churning;
  console.log(`made and deleted meanwhile: ${rounds.join(', ')}`);
  expect(Math.min(...rounds)).toBeGreaterThan(0);
  // Nothing of it is left, and no page is needed to see that.
  expect(new Set((await listSnapshots()(csi, '', 0)).ids)).toEqual(staying);
  expect(new Set((await listVolumes(csi, '', 0)).ids)).toEqual(new Set(sources));
  for (const client of clients) client[Symbol.dispose]();
});

test('a token is good when the snapshot that it names has gone, and one that nobody gave is refused', async () => {
  await using world = await World.open({ quiet: true });
  const { csi } = world;
  const source = await world.create('source', 16 * MiB);
  const ids = (await takeSnapshots(csi, source, 'one of ten', 10)).toSorted((a, b) => (a < b ? -1 : 1));
  const seen: string[] = [];
  let token = '';
  do {
    const page = await listSnapshots()(csi, token, 2);
    seen.push(...page.ids);
    for (const snapshotId of page.ids) await csi.controller.DeleteSnapshot({ snapshotId });
    token = page.nextToken;
  } while (token !== '');
  expect(seen).toEqual(ids);

  // Not a token at all, and one of the other list.
  for (const startingToken of ['x', '0', 'v1s.', `v1v.${source.slice(4)}`, `v1s.${source}`, 'v1s.../..', '\0']) {
    expect(await codeOf(csi.controller.ListSnapshots({ startingToken }))).toBe('aborted');
  }
  await world.deleteVolume(source);
  await world.close();
});
