import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import { DriverError } from '../../../src/core/errors.ts';
import { KeyedLocks } from '../../../src/core/locks.ts';
import type { ControllerDefinition } from '../../../src/gen/csi/v1/Controller.ts';
import { parseAddress } from '../../../src/rpc/address.ts';
import { connect } from '../../../src/rpc/client.ts';
import { lockCalls, logCalls, measureCalls } from '../../../src/rpc/interceptors.ts';
import { loadProto } from '../../../src/rpc/proto.ts';
import { bindService, type RpcServer, serve } from '../../../src/rpc/server.ts';
import type { CallContext, Handlers, Interceptor } from '../../../src/rpc/types.ts';
import { MemoryLogger, MemoryMetrics, temporaryFolder } from '../support/rpc.ts';

const NAME = 'csi.v1.Controller';
const service = loadProto('csi-proto/csi.proto').service(NAME);

async function start(
  folder: string,
  handlers: Handlers<ControllerDefinition>,
  { interceptors = [] as Interceptor[], drainMs = 1000 } = {},
): Promise<RpcServer & { readonly endpoint: string }> {
  const endpoint = `unix://${join(folder, 'csi.sock')}`;
  const server = await serve({
    address: parseAddress('endpoint', endpoint),
    services: [bindService(NAME, service, handlers)],
    interceptors,
    drainMs,
  });
  return Object.assign(server, { endpoint });
}

test('64-bit numbers survive the wire both ways', async () => {
  await using folder = await temporaryFolder();
  await using server = await start(folder.path, {
    ControllerExpandVolume: async (request) => ({
      capacityBytes: request.capacityRange?.requiredBytes ?? '0',
      nodeExpansionRequired: request.volumeCapability === null,
    }),
  });
  using channel = connect(server.endpoint);
  const client = channel.client<ControllerDefinition>(service);
  for (const bytes of ['0', '9007199254740993', '9223372036854775807', '-9223372036854775808']) {
    const reply = await client.ControllerExpandVolume({ volumeId: 'v', capacityRange: { requiredBytes: bytes } });
    expect(reply).toEqual({ capacityBytes: bytes, nodeExpansionRequired: true });
  }
});

test('errors keep their code; what is not a DriverError shows the caller only a request id', async () => {
  await using folder = await temporaryFolder();
  const logger = new MemoryLogger();
  await using server = await start(
    folder.path,
    {
      DeleteVolume: async ({ volumeId }) => {
        if (volumeId === 'bug') throw new TypeError('secret internals');
        throw new DriverError('failed-precondition', `in use: ${volumeId}`);
      },
    },
    { interceptors: [logCalls({ logger, secretFields: new Set(['secrets']), quietMethods: new Set() })] },
  );
  using channel = connect(server.endpoint);
  const client = channel.client<ControllerDefinition>(service);
  await expect(client.DeleteVolume({ volumeId: 'ü\n\ud800x', secrets: { a: 'hunter2' } })).rejects.toMatchObject({
    code: 'failed-precondition',
    message: expect.stringMatching(/^in use: ü\n/),
  });
  const error: unknown = await client.DeleteVolume({ volumeId: 'bug' }).catch((e: unknown) => e);
  expect(error).toBeInstanceOf(DriverError);
  const { code, message } = error as DriverError;
  expect(code).toBe('internal');
  expect(message).not.toContain('secret internals');
  expect(logger.lines.map(({ level }) => level)).toEqual(['warn', 'error']);
  const [denied, bug] = logger.lines;
  expect(JSON.stringify(denied)).not.toContain('hunter2');
  expect(message).toContain(String(bug?.fields.requestId));
  expect(bug?.fields.err).toMatchObject({
    message: 'secret internals',
    stack: expect.stringContaining('server.test'),
  });
});

test('an RPC that is left out answers unimplemented', async () => {
  await using folder = await temporaryFolder();
  await using server = await start(folder.path, {});
  using channel = connect(server.endpoint);
  const client = channel.client<ControllerDefinition>(service);
  await expect(client.ControllerModifyVolume({ volumeId: 'v' })).rejects.toMatchObject({ code: 'unimplemented' });
});

test.each([
  ['a cancelled call', 'cancelled', 60_000],
  ['a passed deadline', 'deadline-exceeded', 100],
] as const)('%s fires the signal; the locks stay until the handler has ended', async (_name, code, timeoutMs) => {
  await using folder = await temporaryFolder();
  const locks = new KeyedLocks();
  const seen = Promise.withResolvers<CallContext>();
  const aborted = Promise.withResolvers<unknown>();
  const end = Promise.withResolvers<void>();
  await using server = await start(
    folder.path,
    {
      DeleteVolume: async (_request, context) => {
        context.signal.addEventListener('abort', () => aborted.resolve(context.signal.reason));
        seen.resolve(context);
        await end.promise;
        return {};
      },
    },
    {
      interceptors: [
        lockCalls(
          () => locks,
          () => ({ exclusive: ['volume'] }),
        ),
      ],
    },
  );
  using channel = connect(server.endpoint);
  const client = channel.client<ControllerDefinition>(service);
  const hangUp = new AbortController();
  const call = client.DeleteVolume({ volumeId: 'v' }, { timeoutMs, signal: hangUp.signal });
  const failed = expect(call).rejects.toMatchObject({ code });
  expect((await seen.promise).deadline).toBeGreaterThan(Date.now() - 1000);
  await expect(client.DeleteVolume({ volumeId: 'v' })).rejects.toMatchObject({ code: 'aborted' });
  if (code === 'cancelled') hangUp.abort();
  await failed;
  expect(await aborted.promise).toMatchObject({ code });
  expect(locks.size).toBe(1);
  expect(server.callsInFlight).toBe(1);
  end.resolve();
  await sleep(20);
  expect(locks.size).toBe(0);
  expect(server.callsInFlight).toBe(0);
});

test('a call whose caller had gone before is not made', async () => {
  await using folder = await temporaryFolder();
  await using server = await start(folder.path, { DeleteVolume: async () => ({}) });
  using channel = connect(server.endpoint);
  const client = channel.client<ControllerDefinition>(service);
  await expect(client.DeleteVolume({}, { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'cancelled' });
});

test('what a handler throws because its signal fired is logged as that', async () => {
  await using folder = await temporaryFolder();
  const metrics = new MemoryMetrics();
  await using server = await start(
    folder.path,
    {
      DeleteVolume: async (_request, { signal }) => {
        await sleep(60_000, undefined, { signal });
        return {};
      },
    },
    { interceptors: [measureCalls(metrics)] },
  );
  using channel = connect(server.endpoint);
  const client = channel.client<ControllerDefinition>(service);
  await expect(client.DeleteVolume({}, { timeoutMs: 50 })).rejects.toMatchObject({ code: 'deadline-exceeded' });
  await sleep(50);
  expect(metrics.rpcs).toMatchObject([{ service: NAME, method: 'DeleteVolume', code: 'DEADLINE_EXCEEDED' }]);
});

test('the socket is for its owner alone, and gone after a close', async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, 'csi.sock');
  {
    await using _server = await start(folder.path, {});
    const stats = await stat(path);
    expect(stats.isSocket()).toBe(true);
    expect(stats.mode & 0o777).toBe(0o600);
  }
  await expect(stat(path)).rejects.toMatchObject({ code: 'ENOENT' });
});

test('a stale socket is replaced; a live one, and what is no socket, are not', async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, 'csi.sock');
  const child = spawn(process.execPath, [
    '-e',
    `require('net').createServer().listen(${JSON.stringify(path)}, () => console.log(1))`,
  ]);
  await once(child.stdout, 'data');
  child.kill('SIGKILL');
  await once(child, 'exit');
  expect((await stat(path)).isSocket()).toBe(true);
  {
    await using server = await start(folder.path, { DeleteVolume: async () => ({}) });
    using channel = connect(server.endpoint);
    await channel.waitForReady(5000);
    await expect(start(folder.path, {})).rejects.toMatchObject({
      code: 'failed-precondition',
      message: expect.stringContaining('another process is listening'),
    });
    await channel.client<ControllerDefinition>(service).DeleteVolume({});
  }
  await writeFile(path, 'mine');
  await expect(start(folder.path, {})).rejects.toMatchObject({ message: expect.stringContaining('is not a socket') });
});

test('a folder that is missing is named', async () => {
  await using folder = await temporaryFolder();
  await expect(start(join(folder.path, 'none'), {})).rejects.toMatchObject({
    code: 'failed-precondition',
    message: expect.stringMatching(/none is no folder/),
  });
});

test('a close leaves the socket of whoever took the path over', async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, 'csi.sock');
  const server = await start(folder.path, {});
  const { rm } = await import('node:fs/promises');
  await rm(path);
  const other = createServer().listen(path);
  await once(other, 'listening');
  await server.close();
  expect((await stat(path)).isSocket()).toBe(true);
  other.close();
});

test('paths that Linux would cut off are refused with the limit', () => {
  const fits = `/${'a'.repeat(106)}`;
  expect(parseAddress('endpoint', `unix://${fits}`)).toEqual({ kind: 'unix', path: fits });
  expect(() => parseAddress('endpoint', `unix://${fits}a`)).toThrow(
    'endpoint: the socket path has 108 bytes, Linux allows 107',
  );
  expect(() => parseAddress('endpoint', 'unix://relative')).toThrow('endpoint:');
  expect(() => parseAddress('endpoint', 'http://x')).toThrow('endpoint:');
  expect(parseAddress('endpoint', 'tcp://[::1]:80')).toEqual({ kind: 'tcp', host: '[::1]', port: 80 });
});

test('a path of the greatest length works', async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, 'x'.repeat(107 - folder.path.length - 1));
  await using server = await serve({ address: parseAddress('e', path), services: [], interceptors: [], drainMs: 10 });
  using channel = connect(`unix://${path}`);
  await channel.waitForReady(5000);
  expect(server.callsInFlight).toBe(0);
});

test('tcp works, and tells the port it got', async () => {
  await using server = await serve({
    address: parseAddress('endpoint', 'tcp://127.0.0.1:0'),
    services: [bindService<ControllerDefinition>(NAME, service, { DeleteVolume: async () => ({}) })],
    interceptors: [],
    drainMs: 10,
  });
  const { address } = server;
  using channel = connect(`tcp://127.0.0.1:${address.kind === 'tcp' ? address.port : 0}`);
  await channel.client<ControllerDefinition>(service).DeleteVolume({ volumeId: 'v' }, { timeoutMs: 5000 });
});

test('a close waits for a call that does not heed its signal: it still works on what is disposed of next', async () => {
  await using folder = await temporaryFolder();
  const hung = Promise.withResolvers<void>();
  const cancelled = Promise.withResolvers<void>();
  const server = await start(
    folder.path,
    {
      DeleteVolume: async (_, { signal }) => {
        signal.addEventListener('abort', () => cancelled.resolve());
        await hung.promise;
        return {};
      },
    },
    { drainMs: 10 },
  );
  using channel = connect(server.endpoint);
  const call = channel.client<ControllerDefinition>(service).DeleteVolume({});
  while (server.callsInFlight < 1) await sleep(5);
  let closed = false;
  const closing = server.close().then(() => {
    closed = true;
  });
  await cancelled.promise;
  // Far longer than drain and farewell.
  await sleep(2500);
  expect(closed).toBe(false);
  hung.resolve();
  await Promise.all([closing, call.catch(() => undefined)]);
});

test('a close lets calls end, and cancels those that do not', async () => {
  await using folder = await temporaryFolder();
  const server = await start(
    folder.path,
    {
      DeleteVolume: async ({ volumeId }, { signal }) => {
        await sleep(volumeId === 'slow' ? 100 : 600_000, undefined, { signal });
        return {};
      },
    },
    { drainMs: 400 },
  );
  using channel = connect(server.endpoint);
  const client = channel.client<ControllerDefinition>(service);
  const slow = client.DeleteVolume({ volumeId: 'slow' });
  const endless = client.DeleteVolume({ volumeId: 'endless' });
  const endlessFailed = expect(endless).rejects.toMatchObject({
    code: 'unavailable',
    message: 'the driver is stopping',
  });
  while (server.callsInFlight < 2) await sleep(5);
  await Promise.all([server.close(), slow, endlessFailed]);
  await expect(client.DeleteVolume({ volumeId: 'late' }, { timeoutMs: 300 })).rejects.toBeInstanceOf(DriverError);
});
