/** The NodeAgent port answers the same, whether its agent is in the process or at the other end of a connection. */
import { describe, expect, test } from '@jest/globals';
import { DriverError, type ErrorCode } from '../../../src/core/errors.ts';
import { snapshotId, volumeId } from '../../../src/core/ids.ts';
import type { NodeAgent } from '../../../src/core/node-agent.ts';
import type { Page, PageRequest } from '../../../src/core/paging.ts';
import { ACCESS_TYPES } from '../../../src/core/volume.ts';
import { noSignal } from '../support/fake-agent.ts';
import { startLink } from './support/link.ts';
import {
  BIG,
  CONTENTS,
  EVIDENCE,
  G,
  health,
  INTENT,
  NAME,
  NODE,
  PART,
  PLAN,
  RECORD,
  S1,
  SPEC,
  snapshot,
  TOKEN,
  V1,
  volume,
} from './support/samples.ts';
import { ALL_METHODS, LIMITS, scripted } from './support/scripted-agent.ts';

type Method = (typeof ALL_METHODS)[number];

interface Exchange {
  readonly method: Method;
  readonly args: readonly unknown[];
  readonly answer: unknown;
}

const CAPACITY = { totalBytes: 2n ** 64n - 1n, freeBytes: BIG, promisedBytes: 2n ** 53n + 1n, availableBytes: 0n };
const SINGLE = { ...PLAN, name: 's', members: PLAN.members.slice(0, 1) };

/** At least one for each method. */
const EXCHANGES: readonly Exchange[] = [
  { method: 'limits', args: [], answer: LIMITS },
  { method: 'capacity', args: [], answer: CAPACITY },
  { method: 'capacity', args: [], answer: { ...CAPACITY, metadataUsedShare: 0 } },
  { method: 'createVolume', args: [SPEC], answer: volume() },
  ...(['snapshot', 'volume'] as const).map((kind) => {
    const source = { kind, id: kind === 'snapshot' ? S1 : volumeId(NODE, 'source') };
    return { method: 'createVolume' as const, args: [{ ...SPEC, source }], answer: volume({ source }) };
  }),
  { method: 'createVolume', args: [{ ...SPEC, claim: TOKEN }], answer: volume() },
  ...ACCESS_TYPES.map((accessType) => {
    return { method: 'createVolume' as const, args: [{ ...SPEC, accessType }], answer: volume({ accessType }) };
  }),
  { method: 'claimVolume', args: [V1, TOKEN], answer: undefined },
  { method: 'claimVolume', args: [V1, TOKEN], answer: volume() },
  { method: 'confirmClaim', args: [V1, TOKEN], answer: undefined },
  ...CONTENTS.map((content) => ({ method: 'getVolume' as const, args: [V1], answer: volume({ content }) })),
  { method: 'getVolume', args: [V1], answer: undefined },
  { method: 'listVolumes', args: [{}], answer: { items: [] } },
  { method: 'listUnhealthy', args: [{}, {}], answer: { items: [] } },
  { method: 'listUnhealthy', args: [{ volumeId: V1 }, {}], answer: { items: [health()] } },
  { method: 'deleteVolume', args: [V1], answer: undefined },
  { method: 'expandVolume', args: [V1, BIG], answer: volume() },
  { method: 'getSnapshot', args: [S1], answer: snapshot() },
  { method: 'getSnapshot', args: [S1], answer: snapshot({ groupId: G, heldBytes: BIG }) },
  { method: 'getSnapshot', args: [S1], answer: undefined },
  { method: 'listSnapshots', args: [{}, {}], answer: { items: [] } },
  { method: 'getGroup', args: [G], answer: RECORD },
  { method: 'getGroup', args: [G], answer: undefined },
  { method: 'deleteSnapshot', args: [S1], answer: undefined },
  { method: 'deleteGroup', args: [G], answer: undefined },
  { method: 'prepare', args: [PLAN], answer: { quiescence: EVIDENCE.map(({ quiescence }) => quiescence) } },
  { method: 'prepare', args: [without('group', SINGLE)], answer: { quiescence: ['idle'] } },
  { method: 'prepare', args: [without('group', { ...SINGLE, fenced: false })], answer: { quiescence: ['frozen'] } },
  { method: 'wait', args: [TOKEN], answer: undefined },
  { method: 'freeze', args: [TOKEN], answer: { leaseLeftMs: 4999.75 } },
  { method: 'cut', args: [TOKEN], answer: { evidence: EVIDENCE } },
  { method: 'commit', args: [TOKEN], answer: RECORD },
  { method: 'commit', args: [TOKEN], answer: without('group', { ...RECORD, snapshots: [snapshot()], evidence: [] }) },
  { method: 'abort', args: [TOKEN], answer: undefined },
  ...(['committed', 'aborted', 'pending'] as const).map((answer) => ({
    method: 'settle' as const,
    args: [TOKEN],
    answer,
  })),
  { method: 'sealedParts', args: [], answer: [PART, { ...PART, group: { ...INTENT, parameters: {} } }] },
  { method: 'sealedParts', args: [], answer: [] },
  // More than a message has.
  { method: 'sealedParts', args: [], answer: Array.from({ length: 600 }, () => PART) },
];

function without<T extends object, K extends keyof T>(key: K, value: T): Omit<T, K> {
  const { [key]: _, ...rest } = value;
  return rest;
}

test('every method is exchanged', () => {
  expect(new Set(EXCHANGES.map(({ method }) => method))).toEqual(new Set(ALL_METHODS));
});

interface Reached extends AsyncDisposable {
  readonly agent: NodeAgent;
}

async function inTheProcess(agent: NodeAgent): Promise<Reached> {
  return { agent, [Symbol.asyncDispose]: async () => undefined };
}

async function overTheLink(agent: NodeAgent): Promise<Reached> {
  const link = await startLink(agent);
  return { agent: link.remote, [Symbol.asyncDispose]: () => link[Symbol.asyncDispose]() };
}

function ask(agent: NodeAgent, { method, args }: Pick<Exchange, 'method' | 'args'>): Promise<unknown> {
  const call = agent[method].bind(agent) as (...args: readonly unknown[]) => Promise<unknown>;
  return call(...args, noSignal);
}

/** Notes what its agent is asked; its last argument is a signal. */
function answering({ method, answer }: Exchange, asked: unknown[][]): NodeAgent {
  return scripted(NODE, {
    [method]: async (...args: unknown[]) => {
      expect(args.pop()).toBeInstanceOf(AbortSignal);
      asked.push(args);
      return answer;
    },
  });
}

/** `limit` is the business of whoever carries a list. */
const LISTS: ReadonlySet<Method> = new Set(['listVolumes', 'listUnhealthy', 'listSnapshots']);

describe.each([
  ['in the process', inTheProcess],
  ['over the link', overTheLink],
] as const)('an agent %s', (_name, reach) => {
  test.each(EXCHANGES)('$method: is asked what was asked, and answers what was answered', async (exchange) => {
    const asked: unknown[][] = [];
    await using reached = await reach(answering(exchange, asked));
    expect(await ask(reached.agent, exchange)).toEqual(exchange.answer);
    if (!LISTS.has(exchange.method)) expect(asked.at(-1)).toEqual(exchange.args);
  });

  test.each<ErrorCode>([
    'invalid-argument',
    'not-found',
    'already-exists',
    'out-of-range',
    'failed-precondition',
    'resource-exhausted',
    'aborted',
    'unavailable',
    'unimplemented',
    'unauthenticated',
    'permission-denied',
    'deadline-exceeded',
    'data-loss',
    'internal',
  ])('%s: every method fails with the code that was thrown', async (code) => {
    const fail = async (): Promise<never> => {
      throw new DriverError(code, `für ${NAME}`);
    };
    const script = Object.fromEntries(ALL_METHODS.filter((each) => each !== 'limits').map((method) => [method, fail]));
    await using reached = await reach(scripted(NODE, script));
    for (const { method, args } of EXCHANGES) {
      if (method === 'limits') continue;
      // How an agent of 1.0 answers, which is done without: versions.test.ts.
      if (method === 'confirmClaim' && code === 'unimplemented') continue;
      const message = expect.stringContaining(`für ${NAME}`);
      await expect(ask(reached.agent, { method, args })).rejects.toMatchObject({ name: 'DriverError', code, message });
    }
  });

  const volumes = listOf(1300, (i) => volume({ id: volumeId(NODE, `v${i}`), createdAt: i }));
  const sick = volumes.map(({ id }) => health({ id }));
  const snapshots = listOf(1300, (i) => snapshot({ id: snapshotId(NODE, `s${i}`), createdAt: i }));
  const lists: NodeAgent = scripted(NODE, {
    listVolumes: async (page) => pageOf(volumes, page),
    listUnhealthy: async ({ volumeId: id }, page) => pageOf(id === undefined ? sick : [health({ id })], page),
    listSnapshots: async ({ sourceVolumeId }, page) => pageOf(sourceVolumeId === V1 ? snapshots : [], page),
  });
  const ids = volumes.map(({ id }) => id);

  test.each([
    ['all', {}, ids, undefined],
    ['all after one', { after: ids[1000] }, ids.slice(1001), undefined],
    ['few', { limit: 3 }, ids.slice(0, 3), ids[2]],
    ['as many as a message has', { limit: 256 }, ids.slice(0, 256), ids[255]],
    ['many, from the middle', { after: ids[9], limit: 600 }, ids.slice(10, 610), ids[609]],
    ['to the last', { limit: 1300 }, ids, undefined],
    ['more than there are', { limit: 4_294_967_295 }, ids, undefined],
    ['after the last', { after: ids.at(-1), limit: 5 }, [], undefined],
    ['none', { limit: 0 }, [], undefined],
  ])('lists %s', async (_what, page, expected, next) => {
    await using reached = await reach(lists);
    const answer = await reached.agent.listVolumes(page as PageRequest, noSignal);
    expect(answer.items.map(({ id }) => id)).toEqual(expected);
    expect(answer.next).toBe(next);
  });

  test('lists what is wrong with one volume, with all, and in pages', async () => {
    await using reached = await reach(lists);
    expect(await reached.agent.listUnhealthy({ volumeId: V1 }, {}, noSignal)).toEqual({ items: [health()] });
    expect(await reached.agent.listUnhealthy({}, {}, noSignal)).toEqual({ items: sick });
    const page = await reached.agent.listUnhealthy({}, { after: sick[0]?.id ?? '', limit: 300 }, noSignal);
    expect(page).toEqual({ items: sick.slice(1, 301), next: sick[300]?.id });
  });

  test('lists snapshots of one volume, whole and in pages', async () => {
    await using reached = await reach(lists);
    const filter = { sourceVolumeId: V1 };
    expect(await reached.agent.listSnapshots(filter, {}, noSignal)).toEqual({ items: snapshots });
    expect(await reached.agent.listSnapshots({}, {}, noSignal)).toEqual({ items: [] });
    const page = await reached.agent.listSnapshots(filter, { limit: 300 }, noSignal);
    expect(page).toEqual({ items: snapshots.slice(0, 300), next: snapshots[299]?.id });
  });
});

function listOf<T extends { readonly id: string }>(length: number, make: (i: number) => T): readonly T[] {
  return Array.from({ length }, (_, i) => make(i)).toSorted((a, b) => (a.id < b.id ? -1 : 1));
}

function pageOf<T extends { readonly id: string }>(all: readonly T[], { after = '', limit }: PageRequest): Page<T> {
  const rest = all.filter(({ id }) => id > after);
  const items = rest.slice(0, limit ?? rest.length);
  const last = items.at(-1)?.id;
  return items.length < rest.length && last !== undefined ? { items, next: last } : { items };
}
