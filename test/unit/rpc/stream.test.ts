/** Answers in many messages: at the reader's pace, whole or failed, and ended by whoever has had enough. */
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import { AGENT_SERVICE, type AgentStreams, agentService } from '../../../src/agent/api.ts';
import { DriverError } from '../../../src/core/errors.ts';
import type { AgentDefinition } from '../../../src/gen/cofferdam/agent/v1/Agent.ts';
import { connect } from '../../../src/rpc/client.ts';
import { logCalls, measureCalls } from '../../../src/rpc/interceptors.ts';
import { bindService, serve } from '../../../src/rpc/server.ts';
import type { StreamHandler } from '../../../src/rpc/types.ts';
import { MemoryLogger, MemoryMetrics } from '../support/rpc.ts';

type List = StreamHandler<AgentDefinition, 'ListVolumes'>;

async function start(list: List) {
  await using resources = new AsyncDisposableStack();
  const [logger, metrics] = [new MemoryLogger(), new MemoryMetrics()];
  const server = resources.use(
    await serve({
      address: { kind: 'tcp', host: '127.0.0.1', port: 0 },
      services: [bindService<AgentDefinition, AgentStreams>(AGENT_SERVICE, agentService(), { ListVolumes: list })],
      interceptors: [logCalls({ logger, secretFields: new Set(), quietMethods: new Set() }), measureCalls(metrics)],
      drainMs: 1000,
    }),
  );
  const { address } = server;
  const channel = resources.use(connect(`tcp://127.0.0.1:${address.kind === 'tcp' ? address.port : 0}`));
  const client = channel.client<AgentDefinition, AgentStreams>(agentService());
  const owned = resources.move();
  return { client, server, logger, metrics, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

const message = (i: number) => ({ volumes: [], next: String(i) });

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(5);
}

test('all messages arrive in order, and the call is one line and one observation', async () => {
  await using link = await start(async function* () {
    for (let i = 0; i < 500; i++) yield message(i);
  });
  const seen: unknown[] = [];
  for await (const { next } of link.client.ListVolumes({})) seen.push(Number(next));
  expect(seen).toEqual(Array.from({ length: 500 }, (_, i) => i));
  await until(() => link.server.callsInFlight === 0);
  expect(link.metrics.rpcs).toMatchObject([{ service: AGENT_SERVICE, method: 'ListVolumes', code: 'OK' }]);
  expect(link.logger.lines).toMatchObject([{ level: 'info', fields: { rpc: 'ListVolumes', code: 'OK' } }]);
});

test('a reader that is slow makes the server wait', async () => {
  let made = 0;
  await using link = await start(async function* () {
    for (; made < 2000; made++) yield { volumes: [], next: 'x'.repeat(50_000) };
  });
  const messages = link.client.ListVolumes({})[Symbol.asyncIterator]();
  await messages.next();
  let before = -1;
  while (made !== before) {
    before = made;
    await sleep(200);
  }
  // What fits in between: flow control, and sixteen messages that the reader's side takes in advance.
  expect(made).toBeLessThan(200);
  expect(link.server.callsInFlight).toBe(1);
  for (let left = 1999; left > 0; left--) expect((await messages.next()).done).toBe(false);
  expect((await messages.next()).done).toBe(true);
});

test.each([0, 1, 300])('a failure after %d messages fails the call, after them', async (count) => {
  await using link = await start(async function* () {
    for (let i = 0; i < count; i++) yield message(i);
    throw new DriverError('data-loss', 'the rest is gone');
  });
  let seen = 0;
  const read = async () => {
    for await (const _ of link.client.ListVolumes({})) seen++;
  };
  await expect(read()).rejects.toMatchObject({ code: 'data-loss', message: 'the rest is gone' });
  expect(seen).toBe(count);
  expect(link.metrics.rpcs).toMatchObject([{ code: 'DATA_LOSS' }]);
});

/** Sends until its caller has gone; `gone` is why. */
function endless() {
  const gone = Promise.withResolvers<unknown>();
  const list: List = async function* (_request, { signal }) {
    signal.addEventListener('abort', () => gone.resolve(signal.reason));
    for (let i = 0; ; i++) {
      await sleep(1);
      yield message(i);
    }
  };
  return { list, gone: gone.promise };
}

test('a reader that stops ends the call on the other side', async () => {
  const { list, gone } = endless();
  await using link = await start(list);
  for await (const { next } of link.client.ListVolumes({})) if (next === '3') break;
  expect(await gone).toMatchObject({ code: 'cancelled' });
  await until(() => link.server.callsInFlight === 0);
  expect(link.metrics.rpcs).toMatchObject([{ code: 'CANCELLED' }]);
});

test.each([
  ['cancelled', 60_000],
  ['deadline-exceeded', 100],
] as const)('a call that is %s ends on both sides', async (code, timeoutMs) => {
  const { list, gone } = endless();
  await using link = await start(list);
  const stop = new AbortController();
  const read = async () => {
    for await (const { next } of link.client.ListVolumes({}, { signal: stop.signal, timeoutMs })) {
      if (next === '3' && code === 'cancelled') stop.abort();
    }
  };
  await expect(read()).rejects.toMatchObject({ code });
  expect(await gone).toBeInstanceOf(DriverError);
  await until(() => link.server.callsInFlight === 0);
});

test('a server that stops ends what would not end, and says so', async () => {
  const { list } = endless();
  await using link = await start(list);
  const messages = link.client.ListVolumes({})[Symbol.asyncIterator]();
  await messages.next();
  const read = async () => {
    while (!(await messages.next()).done);
  };
  const failed = expect(read()).rejects.toMatchObject({ code: 'unavailable', message: 'the driver is stopping' });
  await Promise.all([link.server.close(), failed]);
});

test('a handler that waits is told when its caller goes', async () => {
  const [called, gone] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  await using link = await start(async function* (_request, { signal }) {
    yield message(0);
    called.resolve();
    await once(signal, 'abort');
    gone.resolve();
  });
  const stop = new AbortController();
  const messages = link.client.ListVolumes({}, { signal: stop.signal })[Symbol.asyncIterator]();
  await messages.next();
  await called.promise;
  const failed = expect(messages.next()).rejects.toMatchObject({ code: 'cancelled' });
  stop.abort();
  await Promise.all([failed, gone.promise]);
});
