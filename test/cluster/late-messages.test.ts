/** Messages of a round that come late, twice or out of order, over the link as it is: they change nothing. */
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { openLinkSecurity } from '../../src/agent/link-security.ts';
import { RemoteAgent } from '../../src/agent/remote-agent.ts';
import { TemporaryAuthority } from '../../src/app/temporary/certificates.ts';
import { TemporaryProcess } from '../../src/app/temporary/process.ts';
import { openTemporaryRun } from '../../src/app/temporary/run.ts';
import { GiB, MiB } from '../../src/core/bytes.ts';
import { groupId, memberSnapshotId, volumeId } from '../../src/core/ids.ts';
import { newToken, type RoundPlan } from '../../src/core/round.ts';
import { PrometheusMetrics } from '../../src/obs/metrics.ts';
import { codeOf, connectTo } from '../support/csi.ts';
import { type PoolFootprint, poolFootprint } from '../support/footprint.ts';
import { LogLines } from '../support/rig.ts';
import { eventually, thawIfFrozen } from '../support/scratch.ts';
import { Writers } from '../support/stalls.ts';
import { publish } from './world.ts';

const NODE = 'node-1';
const VOLUME = volumeId(NODE, 'late');
const LEASE_MS = 2000;
const GROUP = groupId(NODE, 'late');

const resources = new AsyncDisposableStack();
let node: TemporaryProcess;
let agent: RemoteAgent;
let writers: Writers;
let before: PoolFootprint;
let plan: RoundPlan;

const never = new AbortController().signal;
const send = {
  prepare: () => agent.prepare(plan, never),
  wait: () => agent.wait(plan.token, never),
  freeze: () => agent.freeze(plan.token, never),
  cut: () => agent.cut(plan.token, never),
  commit: () => agent.commit(plan.token, never),
  abort: () => agent.abort(plan.token, never),
} as const;
type Message = keyof typeof send;

/** What each of them is answered, in this order. */
async function answers(...messages: readonly Message[]): Promise<Partial<Record<Message, string>>> {
  const codes: Partial<Record<Message, string>> = {};
  for (const message of messages) codes[message] = await codeOf(send[message]());
  return codes;
}

beforeAll(async () => {
  const { folder, workFolder } = resources.use(await openTemporaryRun());
  const authority = await TemporaryAuthority.open(path.join(folder, 'tls'));
  const address = `127.0.0.1:${await freePort()}`;
  const flags = [
    ...['--node-name', NODE, '--agent-address', `tcp://${address}`, '--pool-size', String(4n * GiB)],
    ...(await authority.issue(NODE, `cofferdam://node/${NODE}`)),
  ];
  const logFile = path.join(folder, 'node.log');
  node = resources.use(new TemporaryProcess({ role: 'node', folder: path.join(folder, NODE), flags, logFile }));
  await node.start();
  const [, ca, , cert, , key] = await authority.issue('controller', 'cofferdam://controller');
  const files = { ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) };
  const security = resources.use(await openLinkSecurity({ ...files, insecure: false }, new LogLines()));
  const link = { security, version: '0.0.0', metrics: new PrometheusMetrics() };
  agent = resources.use(new RemoteAgent({ node: NODE, address }, link));

  await agent.createVolume({ id: VOLUME, name: 'late', capacityBytes: 32n * MiB, parameters: {} }, never);
  using csi = connectTo(node.endpoint);
  const mountPoint = await publish(csi, workFolder, VOLUME);
  // A writer that is blocked ends only when it is thawed.
  resources.defer(() => thawIfFrozen(mountPoint).then(() => undefined));
  writers = resources.use(await Writers.start([mountPoint], folder));
});

afterAll(async () => resources.disposeAsync());

beforeEach(async () => {
  before = await poolFootprint(node.dataDir);
  plan = {
    token: newToken(),
    name: 'late',
    group: { id: GROUP, name: 'late', volumeIds: [VOLUME], parameters: {} },
    members: [{ volumeId: VOLUME, snapshotId: memberSnapshotId(NODE, 'late', VOLUME) }],
    leaseMs: LEASE_MS,
    fenced: true,
  };
});

afterEach(async () => {
  await writers.expectWriting();
  await agent.deleteGroup(GROUP, never);
  await eventually('nothing is left', async () => {
    return JSON.stringify(await poolFootprint(node.dataDir)) === JSON.stringify(before);
  });
});

test('all of them again, after the commit: the group stays as it was answered', async () => {
  await send.prepare();
  await send.freeze();
  await send.cut();
  const record = await send.commit();
  const late = { prepare: 'aborted', freeze: 'aborted', cut: 'aborted', abort: 'failed-precondition', commit: 'ok' };
  expect(await answers('prepare', 'freeze', 'cut', 'abort', 'commit')).toEqual(late);
  expect(await send.commit()).toEqual(record);
  expect(await agent.getGroup(GROUP, never)).toEqual(record);
});

test.each<{ readonly as: string; readonly came: readonly Message[] }>([
  { as: 'before anything', came: [] },
  { as: 'when it was prepared', came: ['prepare'] },
  { as: 'when it was frozen', came: ['prepare', 'freeze'] },
  { as: 'when it was cut', came: ['prepare', 'freeze', 'cut'] },
])('all of them after an abort $as: there is no group', async ({ came }) => {
  for (const message of came) await send[message]();
  await send.abort();
  const late = { prepare: 'aborted', freeze: 'aborted', cut: 'aborted', commit: 'aborted', abort: 'ok' };
  expect(await answers('prepare', 'freeze', 'cut', 'commit', 'abort')).toEqual(late);
  expect(await agent.getGroup(GROUP, never)).toBeUndefined();
});

test('each of them twice: the round goes on', async () => {
  expect([await codeOf(send.prepare()), await codeOf(send.prepare())]).toEqual(['ok', 'aborted']);
  expect([await codeOf(send.freeze()), await codeOf(send.freeze())]).toEqual(['ok', 'aborted']);
  expect([await codeOf(send.cut()), await codeOf(send.cut())]).toEqual(['ok', 'aborted']);
  expect([await codeOf(send.commit()), await codeOf(send.commit())]).toEqual(['ok', 'ok']);
  expect(await agent.getGroup(GROUP, never)).toMatchObject({ token: plan.token });
});

test('signs of life are heard while the round waits, begin none, and undo nothing', async () => {
  expect(await codeOf(send.wait())).toBe('aborted');
  expect(await codeOf(send.freeze())).toBe('aborted');
  await send.prepare();
  expect(await codeOf(send.wait())).toBe('ok');
  await send.freeze();
  expect(await codeOf(send.wait())).toBe('aborted');
  await send.cut();
  expect(await codeOf(send.wait())).toBe('ok');
  await send.commit();
  expect(await codeOf(send.wait())).toBe('aborted');
  expect(await agent.getGroup(GROUP, never)).toMatchObject({ token: plan.token });
});

test('a cut after the lease is refused, and nothing waits for it', async () => {
  await send.prepare();
  await send.freeze();
  await writers.expectWriting();
  writers.expectNoStall();
  await sleep(LEASE_MS);
  expect(await answers('cut', 'commit')).toEqual({ cut: 'aborted', commit: 'aborted' });
  expect(await agent.getGroup(GROUP, never)).toBeUndefined();
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
