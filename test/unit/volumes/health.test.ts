/** What a controller says of the health of volumes that are on many nodes. */
import { expect, test } from '@jest/globals';
import { DriverError } from '../../../src/core/errors.ts';
import { condition, type VolumeCondition } from '../../../src/core/health.ts';
import { MAX_NODE_NAME_LENGTH, volumeId } from '../../../src/core/ids.ts';
import { renderHealth } from '../../../src/csi/render/health.ts';
import { loadProto } from '../../../src/rpc/proto.ts';
import { MAX_UNHEALTHY } from '../../../src/volumes/unhealthy.ts';
import { VolumeService } from '../../../src/volumes/volume-service.ts';
import { FakeDirectory, noSignal } from '../support/fake-agent.ts';

const SICK = [condition('FilesystemReadOnly', 'it has turned read-only')];
const LIST = { startingToken: '', maxEntries: 0 };

/** Nodes a, b and c with ten volumes each; every other one on a and c has something. */
async function setUp() {
  const directory = new FakeDirectory('a', 'b', 'c');
  const volumes = new VolumeService(directory);
  const sick: string[] = [];
  for (const node of directory.nodes()) {
    for (let i = 0; i < 10; i++) {
      const placement = { requisite: [node], preferred: [] };
      const request = { name: `v${i}`, range: { requiredBytes: 1n }, placement, parameters: {} };
      const { id } = await volumes.create(request, noSignal);
      if (i % 2 === 0 && node !== 'b') sick.push(id);
    }
  }
  for (const id of sick) directory.agent(id.at(-1) ?? '').conditions.set(id, SICK);
  return { directory, volumes, sick };
}

test.each([0, 1, 3, 10, 100])(
  'pages of %d give every unhealthy volume once, with what is wrong',
  async (maxEntries) => {
    const { volumes, sick } = await setUp();
    const seen: string[] = [];
    for (let token = '', first = true; first || token !== ''; first = false) {
      const { items, nextToken } = await volumes.listUnhealthy({ startingToken: token, maxEntries }, noSignal);
      if (maxEntries > 0) expect(items.length).toBeLessThanOrEqual(maxEntries);
      for (const { id, conditions } of items) {
        expect(conditions).toEqual(SICK);
        seen.push(id);
      }
      token = nextToken;
    }
    expect(seen).toHaveLength(sick.length);
    expect(new Set(seen)).toEqual(new Set(sick));
  },
);

test('one volume is as its node says; one that there is not is not found', async () => {
  const { directory, volumes, sick } = await setUp();
  const [id = ''] = sick;
  expect(await volumes.health(id, noSignal)).toEqual({ id, conditions: SICK });
  const healthy = volumeId('b', 'v0');
  expect(await volumes.health(healthy, noSignal)).toEqual({ id: healthy, conditions: [] });
  for (const unknown of [volumeId('b', 'x'), volumeId('elsewhere', 'v0'), 'x']) {
    await expect(volumes.health(unknown, noSignal)).rejects.toMatchObject({ code: 'not-found' });
  }
  // Repaired.
  directory.agent('a').conditions.clear();
  expect(await volumes.health(id, noSignal)).toEqual({ id, conditions: [] });
});

test('a node that is away is not taken for a healthy one', async () => {
  const { directory, volumes } = await setUp();
  directory.away.add('b');
  await expect(volumes.health(volumeId('b', 'v0'), noSignal)).rejects.toMatchObject({ code: 'unavailable' });
  await expect(volumes.listUnhealthy(LIST, noSignal)).rejects.toMatchObject({ code: 'unavailable' });
  expect((await volumes.health(volumeId('a', 'v0'), noSignal)).conditions).toEqual(SICK);
});

test('nor is one whose agent is of a release that can not look', async () => {
  const { directory, volumes } = await setUp();
  directory.agent('b').listUnhealthy = async () => {
    throw new DriverError('unimplemented', 'there is no ListUnhealthy');
  };
  const refusal = { code: 'unavailable', message: expect.stringContaining('the agent of node b is of a release') };
  await expect(volumes.health(volumeId('b', 'v0'), noSignal)).rejects.toMatchObject(refusal);
  await expect(volumes.listUnhealthy(LIST, noSignal)).rejects.toMatchObject(refusal);
  // Pages that do without it do.
  expect((await volumes.listUnhealthy({ ...LIST, maxEntries: 5 }, noSignal)).items).toHaveLength(5);
});

test('an invalid token is aborted', async () => {
  const { volumes } = await setUp();
  const list = volumes.listUnhealthy({ startingToken: 'x', maxEntries: 0 }, noSignal);
  await expect(list).rejects.toMatchObject({ code: 'aborted', message: expect.stringMatching(/^starting_token: /) });
});

test('the longest page fits in an answer that any gRPC client takes', async () => {
  const node = 'n'.repeat(MAX_NODE_NAME_LENGTH);
  const directory = new FakeDirectory(node);
  // As much as the link lets through: `agent/wire/health.ts`.
  const conditions = Array.from({ length: 8 }, (_, i): VolumeCondition => {
    return { status: 'inaccessible', reason: `${i}`.repeat(64), message: '名'.repeat(259) };
  });
  for (let i = 0; i <= MAX_UNHEALTHY; i++) directory.agent(node).conditions.set(volumeId(node, `v${i}`), conditions);
  const { items, nextToken } = await new VolumeService(directory).listUnhealthy(LIST, noSignal);
  expect(items).toHaveLength(MAX_UNHEALTHY);
  expect(nextToken).not.toBe('');
  const rpcs = loadProto('csi-proto/csi.proto').service('csi.v1.Controller');
  const bytes = rpcs.ControllerListVolumeHealth?.responseSerialize({ entries: items.map(renderHealth) } as never);
  expect(bytes?.length).toBeLessThan(4 * 1024 * 1024);
});
