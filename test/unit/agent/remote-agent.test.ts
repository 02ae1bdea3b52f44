/** What a controller makes of an agent that is slow, silent, gone, back, or not the one it looked for. */
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import { AGENT_SERVICE, API, agentService } from '../../../src/agent/api.ts';
import { RemoteAgent } from '../../../src/agent/remote-agent.ts';
import { DriverError } from '../../../src/core/errors.ts';
import type { VolumeHealth } from '../../../src/core/health.ts';
import type { NodeAgent } from '../../../src/core/node-agent.ts';
import type { AgentDefinition } from '../../../src/gen/cofferdam/agent/v1/Agent.ts';
import { bindService, serve } from '../../../src/rpc/server.ts';
import type { CallContext } from '../../../src/rpc/types.ts';
import { noSignal } from '../support/fake-agent.ts';
import { insecure, linkParts, PATIENCE_MS, portOf, serveOne, startLink } from './support/link.ts';
import { FAR, G, health, NODE, PLAN, TOKEN, V1, volume } from './support/samples.ts';
import { held, scripted } from './support/scripted-agent.ts';
import { SilentProxy } from './support/silent-proxy.ts';

const FOUND: Partial<NodeAgent> = { getVolume: async () => volume() };

/** `getVolume` that does not end by itself; `signal` is what it was given. */
function hanging() {
  const called = Promise.withResolvers<AbortSignal>();
  const agent = scripted(NODE, {
    getVolume: async (_id, signal) => {
      called.resolve(signal);
      await once(signal, 'abort');
      throw signal.reason;
    },
  });
  return { agent, called: called.promise };
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(5);
}

test('a call that is cancelled ends on both sides', async () => {
  const { agent, called } = hanging();
  await using link = await startLink(agent);
  const stop = new AbortController();
  const call = link.remote.getVolume(V1, stop.signal);
  const failed = expect(call).rejects.toMatchObject({ code: 'cancelled' });
  const there = await called;
  expect(there.aborted).toBe(false);
  stop.abort();
  await failed;
  await until(() => there.aborted);
  expect(there.reason).toMatchObject({ code: 'cancelled' });
  expect(link.metrics.agentCalls.at(-1)).toMatchObject({ node: NODE, method: 'GetVolume', code: 'CANCELLED' });
});

test('a signal that says why it fired is believed; one that has fired asks nobody', async () => {
  const { agent, called } = hanging();
  await using link = await startLink(agent);
  const stop = new AbortController();
  const late = new DriverError('deadline-exceeded', 'the sidecar has gone home');
  const call = expect(link.remote.getVolume(V1, stop.signal)).rejects.toBe(late);
  await called;
  stop.abort(late);
  await call;
  await expect(link.remote.deleteVolume(V1, stop.signal)).rejects.toBe(late);
  await expect(link.remote.listVolumes({}, stop.signal)).rejects.toBe(late);
});

test('a deadline ends a call on both sides', async () => {
  const called = Promise.withResolvers<AbortSignal>();
  // It does not heed the signal; a server waits for it when it is closed.
  const end = Promise.withResolvers<never>();
  const agent = scripted(NODE, {
    prepare: async () => ({ quiescence: [] }),
    freeze: async (_token, signal) => {
      called.resolve(signal);
      return await end.promise;
    },
  });
  await using link = await startLink(agent);
  await link.remote.prepare({ ...PLAN, leaseMs: 1 }, noSignal);
  await expect(link.remote.freeze(TOKEN, noSignal)).rejects.toMatchObject({ code: 'deadline-exceeded' });
  const there = await called.promise;
  await until(() => there.aborted);
  end.reject(new Error('over'));
});

test('no step of a round may take longer than it can matter', async () => {
  const seen = new Map<string, number>();
  const failing = async (_request: unknown, { method, deadline = Infinity }: CallContext): Promise<never> => {
    seen.set(method, deadline - Date.now());
    throw new DriverError('aborted', 'noted');
  };
  const methods = ['Prepare', 'Freeze', 'Cut', 'Commit', 'Abort', 'GetGroup'] as const;
  const limits = { sizeGranularity: '1', minVolumeBytes: '1', maxVolumeBytes: '1' };
  const handlers = Object.fromEntries(methods.map((method) => [method, failing]));
  await using server = await serve({
    address: { kind: 'tcp', host: '127.0.0.1', port: 0 },
    services: [
      bindService<AgentDefinition>(AGENT_SERVICE, agentService(), {
        ...handlers,
        Hello: async () => ({ api: API, node: NODE, limits }),
      }),
    ],
    interceptors: [],
    drainMs: 100,
  });
  using security = await insecure();
  using remote = new RemoteAgent({ node: NODE, address: `127.0.0.1:${portOf(server)}` }, linkParts(security));
  await expect(remote.prepare({ ...PLAN, leaseMs: 7000 }, noSignal)).rejects.toMatchObject({ code: 'aborted' });
  for (const step of ['freeze', 'cut', 'commit', 'abort'] as const) {
    await expect(remote[step](TOKEN, noSignal)).rejects.toMatchObject({ code: 'aborted' });
  }
  await expect(remote.getGroup(G, noSignal)).rejects.toMatchObject({ code: 'aborted' });
  const most = {
    Prepare: 40_000,
    Freeze: 7000 + 2000,
    Cut: 7000 + 30_000,
    Commit: 10_000,
    Abort: 10_000,
    GetGroup: 10_000,
  };
  for (const method of methods) {
    expect([method, (seen.get(method) ?? Infinity) <= most[method]]).toEqual([method, true]);
    expect([method, (seen.get(method) ?? 0) > most[method] / 2]).toEqual([method, true]);
  }
});

test('a node where nobody listens is unavailable at once, and says who and why', async () => {
  const link = await startLink(scripted(NODE, FOUND));
  await link[Symbol.asyncDispose]();
  using security = await insecure();
  const parts = linkParts(security);
  using remote = new RemoteAgent({ node: NODE, address: link.address }, parts);
  await expect(remote.getVolume(V1, noSignal)).rejects.toMatchObject({
    code: 'unavailable',
    message: `node ${NODE} at ${link.address}: connect ECONNREFUSED ${link.address}`,
  });
  expect(parts.metrics.agentCalls).toMatchObject([{ node: NODE, method: 'GetVolume', code: 'UNAVAILABLE' }]);
});

test('a name that does not resolve is unavailable', async () => {
  using security = await insecure();
  using remote = new RemoteAgent({ node: NODE, address: 'no-such-host.invalid:9' }, linkParts(security));
  await expect(remote.capacity(noSignal)).rejects.toMatchObject({
    code: 'unavailable',
    message: expect.stringMatching(/no-such-host/),
  });
});

test('somebody who takes connections and says nothing is unavailable when patience ends', async () => {
  using security = await insecure();
  const served = await serveOne(scripted(NODE, FOUND), security);
  await using _server = served.server;
  await using proxy = await SilentProxy.to(portOf(served.server));
  proxy.cut();
  using remote = new RemoteAgent({ node: NODE, address: proxy.address }, linkParts(security, 300));
  const silence = { code: 'unavailable', message: expect.stringContaining('no answer within 300 ms') };
  await Promise.all([
    expect(remote.capacity(noSignal)).rejects.toMatchObject(silence),
    expect(remote.getVolume(V1, noSignal)).rejects.toMatchObject(silence),
  ]);
  expect(proxy.open).toBe(1);
  remote[Symbol.dispose]();
  await until(() => proxy.open === 0);
});

test('an agent that goes takes its calls with it; when it is back, so are they', async () => {
  const { agent, called } = hanging();
  using security = await insecure();
  const first = await serveOne(agent, security);
  const parts = linkParts(security);
  using remote = new RemoteAgent({ node: NODE, address: first.address }, parts);
  const failed = expect(remote.getVolume(V1, noSignal)).rejects.toMatchObject({ code: 'unavailable' });
  await called;
  await first.server.close();
  await failed;
  await expect(remote.getVolume(V1, noSignal)).rejects.toMatchObject({ code: 'unavailable' });

  const second = await serveOne(scripted(NODE, FOUND), security, { port: portOf(first.server) });
  await using _server = second.server;
  expect(await remote.getVolume(V1, noSignal)).toEqual(volume());
  const greetings = parts.metrics.agentCalls.filter(({ method }) => method === 'Hello');
  expect(greetings.map(({ code }) => code)).toEqual(['OK', 'OK']);
});

test('a server that stops lets a call under way end', async () => {
  const { agent, called, end } = held();
  using security = await insecure();
  const { server, address } = await serveOne(agent, security, { drainMs: PATIENCE_MS });
  using remote = new RemoteAgent({ node: NODE, address }, linkParts(security));
  const call = remote.getVolume(V1, noSignal);
  await called.promise;
  const closed = server.close();
  await expect(remote.capacity(noSignal)).rejects.toMatchObject({ code: 'unavailable' });
  end.resolve();
  expect(await call).toEqual(volume());
  await closed;
});

test('a node that falls silent is noticed, by a call under way and by the next one; and found again', async () => {
  const { agent, called } = hanging();
  using security = await insecure();
  const served = await serveOne({ ...agent, deleteVolume: async () => undefined }, security);
  await using _server = served.server;
  await using proxy = await SilentProxy.to(portOf(served.server));
  using remote = new RemoteAgent({ node: NODE, address: proxy.address }, linkParts(security, 1000));
  const started = performance.now();
  const failed = expect(remote.getVolume(V1, noSignal)).rejects.toMatchObject({ code: 'unavailable' });
  await called;
  proxy.cut();
  await failed;
  // The call itself may take ten.
  expect(performance.now() - started).toBeLessThan(9000);
  await expect(remote.deleteVolume(V1, noSignal)).rejects.toMatchObject({ code: 'unavailable' });
  proxy.mend();
  for (;;) {
    const found = await remote.deleteVolume(V1, noSignal).then(
      () => true,
      () => false,
    );
    if (found) break;
  }
});

test('calls at once share one connection and one greeting', async () => {
  using security = await insecure();
  const served = await serveOne(scripted(NODE, FOUND), security);
  await using _server = served.server;
  await using proxy = await SilentProxy.to(portOf(served.server));
  const parts = linkParts(security);
  using remote = new RemoteAgent({ node: NODE, address: proxy.address }, parts);
  await Promise.all(Array.from({ length: 50 }, () => remote.getVolume(V1, noSignal)));
  expect(proxy.open).toBe(1);
  expect(parts.metrics.agentCalls.filter(({ method }) => method === 'Hello')).toHaveLength(1);
  expect(parts.metrics.agentCalls).toHaveLength(51);
});

test('one that was dismissed ends with its last call; and may be asked again by whoever still has it', async () => {
  const { agent, called, end } = held();
  using security = await insecure();
  const served = await serveOne(agent, security);
  await using _server = served.server;
  await using proxy = await SilentProxy.to(portOf(served.server));
  const remote = new RemoteAgent({ node: NODE, address: proxy.address }, linkParts(security));
  const call = remote.getVolume(V1, noSignal);
  await called.promise;
  remote[Symbol.dispose]();
  expect(proxy.open).toBe(1);
  end.resolve();
  expect(await call).toEqual(volume());
  await until(() => proxy.open === 0);
  expect(await remote.getVolume(V1, noSignal)).toEqual(volume());
  await until(() => proxy.open === 0);
});

test('the agent of another node is not taken for the one that was meant', async () => {
  using security = await insecure();
  const served = await serveOne(scripted('node-x', FOUND), security);
  await using _server = served.server;
  using remote = new RemoteAgent({ node: NODE, address: served.address }, linkParts(security));
  await expect(remote.getVolume(V1, noSignal)).rejects.toMatchObject({
    code: 'unavailable',
    message: expect.stringContaining('the one of node node-x'),
  });
});

test.each([
  ['a volume of another node', volume({ node: 'node-x' })],
  ['an id of another node', volume({ id: V1.replace(NODE, 'node-x') })],
  ['a name that is none', volume({ name: '' })],
])('an agent that answers with %s is not believed', async (_what, answer) => {
  await using link = await startLink(scripted(NODE, { getVolume: async () => answer }));
  await expect(link.remote.getVolume(V1, noSignal)).rejects.toMatchObject({
    code: 'internal',
    message: expect.stringMatching(/answers nonsense: volume\./),
  });
});

const CONDITION = { status: 'degraded', reason: 'Slow', message: '' } as const;

test.each<readonly [string, VolumeHealth]>([
  ['of another node', health({ id: FAR })],
  ['with nothing wrong', health({ conditions: [] })],
  ['with a reason that is no word', health({ conditions: [{ ...CONDITION, reason: 'it is slow' }] })],
  ['with a status of no kind', health({ conditions: [{ ...CONDITION, status: 'fine' as 'degraded' }] })],
])('an unhealthy volume %s is nonsense', async (_what, answer) => {
  await using link = await startLink(scripted(NODE, { listUnhealthy: async () => ({ items: [answer] }) }));
  await expect(link.remote.listUnhealthy({}, {}, noSignal)).rejects.toMatchObject({
    code: 'internal',
    message: expect.stringMatching(/answers nonsense: volumes\./),
  });
});

test('what is wrong with a volume is no longer than a page of them has room for', async () => {
  const conditions = Array.from({ length: 20 }, (_, i) => ({
    ...CONDITION,
    reason: `R${i}`,
    message: 'é'.repeat(999),
  }));
  await using link = await startLink(
    scripted(NODE, { listUnhealthy: async () => ({ items: [health({ conditions })] }) }),
  );
  const { items } = await link.remote.listUnhealthy({}, {}, noSignal);
  expect(items[0]?.conditions).toHaveLength(8);
  expect(items[0]?.conditions[0]?.message).toHaveLength(259);
});

test('an address that is none is refused', async () => {
  using security = await insecure();
  for (const address of ['', 'host', 'host:99999', 'ho st:1']) {
    expect(() => new RemoteAgent({ node: NODE, address }, linkParts(security))).toThrow(/address of node/);
  }
});
