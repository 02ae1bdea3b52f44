/** Whatever a controller sends, an agent answers with a code that says what to do, and is asked for nothing odd. */
import { describe, expect, test } from '@jest/globals';
import { AGENT_SERVICE } from '../../../src/agent/api.ts';
import { DriverError } from '../../../src/core/errors.ts';
import { parseId } from '../../../src/core/ids.ts';
import type { NodeAgent } from '../../../src/core/node-agent.ts';
import { Random } from '../../../src/prove/random.ts';
import type { LoadedService } from '../../../src/rpc/proto.ts';
import { type Message, placesIn, type Rpc, Schema, withValue } from '../../fault/fuzz/schema.ts';
import { randomRequest, rawRequests, stringValues, valuesFor } from '../../fault/fuzz/values.ts';
import { reach } from './support/link.ts';
import { G, INTENT, M1, M2, NAME, NODE, PART, RECORD, S1, snapshot, TOKEN, V1, V2, volume } from './support/samples.ts';
import { LIMITS, scripted } from './support/scripted-agent.ts';

const SEED = 20_261_122;
const RANDOM_REQUESTS = 150;

const schema = new Schema('csi-proto/agent.proto', AGENT_SERVICE.replace(/\.Agent$/, ''));
const RPCS = schema.rpcsOf('Agent');
const SERVICE = schema.serviceOf('Agent');
const STREAMS = ['ListVolumes', 'ListUnhealthy', 'ListSnapshots', 'SealedParts'];

const group = { id: G, name: NAME, volume_ids: INTENT.volumeIds, parameters: { a: 'b' } };
const member = (volumeId: string, snapshotId: string) => ({ volume_id: volumeId, snapshot_id: snapshotId });

/** A request of each RPC that is right in every field. */
const GOOD: Readonly<Record<string, Message>> = {
  Hello: { api: { major: 1, minor: 0 }, node: NODE, driver_version: '1' },
  Capacity: {},
  CreateVolume: {
    id: V1,
    name: NAME,
    capacity_bytes: '1048576',
    source: { snapshot_id: S1 },
    parameters: { a: 'b' },
    claim: TOKEN,
  },
  ClaimVolume: { volume_id: V1, claim: TOKEN },
  ConfirmClaim: { volume_id: V1, claim: TOKEN },
  GetVolume: { volume_id: V1 },
  ListVolumes: { page: { after: V1, limit: 3 } },
  ListUnhealthy: { page: { after: V1, limit: 3 }, volume_id: V1 },
  DeleteVolume: { volume_id: V1 },
  ExpandVolume: { volume_id: V1, capacity_bytes: '1048576' },
  GetSnapshot: { snapshot_id: S1 },
  ListSnapshots: { page: { after: S1, limit: 3 }, source_volume_id: V1 },
  DeleteSnapshot: { snapshot_id: S1 },
  GetGroup: { group_id: G },
  DeleteGroup: { group_id: G },
  Prepare: { token: TOKEN, name: NAME, group, members: [member(V1, M1), member(V2, M2)], lease_ms: 5000, fenced: true },
  Wait: { token: TOKEN },
  Freeze: { token: TOKEN },
  Cut: { token: TOKEN },
  Commit: { token: TOKEN },
  Abort: { token: TOKEN },
  Settle: { token: TOKEN },
  SealedParts: {},
};

/** Ids that reach the agent are of the right kind, and where it is. */
function here(kind: 'volume' | 'snapshot', id: string | undefined): void {
  if (id === undefined) return;
  const parsed = parseId(id);
  if (parsed?.kind !== kind || parsed.node !== NODE) throw new Error(`asked for ${kind} ${id}`);
}

/** Takes what keeps the promises of the port, and fails on anything else. */
const agent: NodeAgent = scripted(NODE, {
  limits: async () => LIMITS,
  capacity: async () => ({ totalBytes: 1n, freeBytes: 1n, promisedBytes: 1n, availableBytes: 1n }),
  createVolume: async ({ id, name, source, capacityBytes }) => {
    here('volume', id);
    if (source) here(source.kind, source.id);
    if (capacityBytes <= 0n || name === '' || Buffer.byteLength(name) > 128) throw new Error('asked for nonsense');
    return volume();
  },
  claimVolume: async (id, claim) => {
    here('volume', id);
    if (!/^[0-9a-f]{16}$/.test(claim)) throw new Error('asked for nonsense');
    return volume();
  },
  confirmClaim: async (id) => here('volume', id),
  getVolume: async (id) => {
    here('volume', id);
    return volume();
  },
  listVolumes: async ({ after }) => {
    here('volume', after);
    return { items: [] };
  },
  listUnhealthy: async ({ volumeId }, { after }) => {
    here('volume', volumeId);
    here('volume', after);
    return { items: [] };
  },
  deleteVolume: async (id) => here('volume', id),
  expandVolume: async (id, capacityBytes) => {
    here('volume', id);
    if (capacityBytes <= 0n) throw new Error('asked for nothing');
    return volume();
  },
  getSnapshot: async (id) => {
    here('snapshot', id);
    return snapshot();
  },
  listSnapshots: async ({ sourceVolumeId }, { after }) => {
    here('volume', sourceVolumeId);
    here('snapshot', after);
    return { items: [] };
  },
  getGroup: async () => RECORD,
  deleteSnapshot: async (id) => here('snapshot', id),
  deleteGroup: async () => undefined,
  prepare: async ({ members, leaseMs, token }) => {
    for (const { volumeId, snapshotId } of members) {
      here('volume', volumeId);
      here('snapshot', snapshotId);
    }
    if (leaseMs < 1 || leaseMs > 30_000 || !/^[0-9a-f]{16}$/.test(token)) throw new Error('asked for nonsense');
    return { quiescence: members.map(() => 'idle') };
  },
  wait: async () => undefined,
  freeze: async () => ({ leaseLeftMs: 1 }),
  cut: async () => ({ evidence: [] }),
  commit: async () => RECORD,
  abort: async () => undefined,
  settle: async () => 'pending',
  sealedParts: async () => [PART],
});

/** A field's name in the protocol's words, then why. */
const NAMES_FIELD = /^[a-z_]+(\[\d+\])?(\.[a-z_]+(\[\d+\])?)*: ./s;

type AnyClient = Readonly<Record<string, (request: unknown) => Promise<unknown> | AsyncIterable<unknown>>>;

async function answerOf(client: AnyClient, method: string, request: unknown): Promise<string> {
  try {
    const answer = client[method]?.(request);
    if (STREAMS.includes(method)) for await (const _ of answer as AsyncIterable<unknown>);
    else await answer;
    return 'ok';
  } catch (error) {
    const text = () => `${method} ${Buffer.isBuffer(request) ? request.toString('hex') : JSON.stringify(request)}`;
    if (!(error instanceof DriverError)) throw new Error(`no DriverError: ${text().slice(0, 2000)}`, { cause: error });
    if (error.code === 'internal') throw new Error(`INTERNAL: ${error.message}: ${text().slice(0, 2000)}`);
    if (error.code === 'invalid-argument' && !NAMES_FIELD.test(error.message)) {
      throw new Error(`no field is named in ${JSON.stringify(error.message)}: ${text().slice(0, 2000)}`);
    }
    return error.code;
  }
}

const start = (service: LoadedService) => reach<AnyClient>(agent, service);

const strings = [...stringValues([]), V1, V2, S1, G, M1, TOKEN, NODE, V1.replace(NODE, 'node-x'), 'f'.repeat(17)];
const named = RPCS.map((rpc): readonly [string, Rpc] => [rpc.method, rpc]);

test('there is a good request of every RPC', () => {
  expect(Object.keys(GOOD).toSorted((a, b) => (a < b ? -1 : 1))).toEqual(
    RPCS.map(({ method }) => method).toSorted((a, b) => (a < b ? -1 : 1)),
  );
});

describe.each(named)('%s', (method, { fields }) => {
  const good = GOOD[method] ?? {};

  test('the good request is taken', async () => {
    await using driver = await start(SERVICE);
    expect(await answerOf(driver.client, method, good)).toBe('ok');
  });

  test('each value in each field', async () => {
    await using driver = await start(SERVICE);
    for (const { path, field } of placesIn(fields)) {
      for (const value of valuesFor(field, strings)) {
        await answerOf(driver.client, method, withValue(good, path, value));
      }
    }
  });

  test('random requests', async () => {
    await using driver = await start(SERVICE);
    const random = new Random(SEED);
    for (let i = 0; i < RANDOM_REQUESTS; i++) {
      await answerOf(driver.client, method, randomRequest(random, fields, good, strings));
    }
  });

  test('bytes', async () => {
    const { requestSerialize } = SERVICE[method] ?? {};
    if (!requestSerialize) throw new Error(`there is no ${method}`);
    const asIs = (bytes: Buffer) => bytes;
    await using driver = await start({ ...SERVICE, [method]: { ...SERVICE[method], requestSerialize: asIs } } as never);
    for (const [, bytes] of rawRequests(new Random(SEED), requestSerialize(good as never))) {
      await answerOf(driver.client, method, bytes);
    }
  });
});

/** What the good request becomes, and the field that is blamed. */
test.each<readonly [string, Message, string]>([
  ['CreateVolume', { id: S1 }, 'id'],
  ['CreateVolume', { id: V1.replace(NODE, 'node-x') }, 'id'],
  ['CreateVolume', { source: { volume_id: V1 } }, 'source.volume_id'],
  ['CreateVolume', { source: { volume_id: V2.replace(NODE, 'node-x') } }, 'source.volume_id'],
  ['CreateVolume', { source: {} }, 'source'],
  ['CreateVolume', { capacity_bytes: '0' }, 'capacity_bytes'],
  ['CreateVolume', { name: 'é'.repeat(65) }, 'name'],
  ['CreateVolume', { parameters: { a: 'x'.repeat(5000) } }, 'parameters'],
  ['ListVolumes', { page: { after: S1 } }, 'page.after'],
  ['ListUnhealthy', { volume_id: S1 }, 'volume_id'],
  ['ListUnhealthy', { page: { after: S1 } }, 'page.after'],
  ['ListSnapshots', { source_volume_id: S1 }, 'source_volume_id'],
  ['DeleteGroup', { group_id: V1 }, 'group_id'],
  ['Wait', { token: 'F'.repeat(16) }, 'token'],
  ['Freeze', { token: 'F'.repeat(16) }, 'token'],
  ['Prepare', { lease_ms: 30_001 }, 'lease_ms'],
  ['Prepare', { lease_ms: 0 }, 'lease_ms'],
  ['Prepare', { members: [] }, 'members'],
  ['Prepare', { members: [member(V1, M1)] }, 'members'],
  ['Prepare', { members: [member(V1, M1), member(V1, M2)] }, 'members[1]'],
  ['Prepare', { members: [member(V1, M1), member(V2, M1)] }, 'members[1]'],
  ['Prepare', { group: { ...group, id: G.replace('node-a', NODE) } }, 'group.id'],
  ['Prepare', { group: { ...group, volume_ids: [] } }, 'group.volume_ids'],
])('%s with %j: the field is named', async (method, change, field) => {
  await using driver = await start(SERVICE);
  const failure = driver.client[method]?.({ ...GOOD[method], ...change });
  const read = async () => {
    if (STREAMS.includes(method)) for await (const _ of failure as AsyncIterable<unknown>);
    else await failure;
  };
  await expect(read()).rejects.toMatchObject({
    code: 'invalid-argument',
    message: expect.stringMatching(new RegExp(`^${RegExp.escape(field)}: `)),
  });
});
