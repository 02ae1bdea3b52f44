/** What can be seen of a driver from outside while it opens its pool. */
import { once } from 'node:events';
import { readdir, rmdir, stat } from 'node:fs/promises';
import { createServer } from 'node:net';
import { expect, jest, test } from '@jest/globals';
import { makeRunFolder, RUN_FOLDER } from '../../../src/app/run-folder.ts';
import { exists } from '../../../src/host/exists.ts';
import { Scratch } from '../../support/scratch.ts';
import { DiedError, Serve } from '../../support/serve.ts';

jest.setTimeout(180_000);

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address ? address.port : 0;
}

async function healthOf(port: number): Promise<readonly [number, string]> {
  const response = await fetch(`http://127.0.0.1:${port}/healthz`);
  return [response.status, await response.text()];
}

test('it lives, is not ready, and takes no calls; metrics can be read', async () => {
  await using scratch = await Scratch.open();
  const port = await freePort();
  const flags = ['--metrics-address', `127.0.0.1:${port}`];
  {
    // Longer than any test: what is looked at here is not over too soon.
    const failpoints = 'pool.mounted=sleep:600000';
    await using serve = await Serve.start(scratch, { failpoints, flags, until: 'listening' });
    expect(await serve.csi.identity.Probe({})).toEqual({ ready: { value: false } });
    expect(await serve.csi.identity.GetPluginInfo({})).toMatchObject({ name: 'csi.cofferdam.io' });
    const tooEarly = { code: 'unavailable', message: expect.stringContaining('starting') };
    await expect(serve.csi.node.NodeGetInfo({})).rejects.toMatchObject(tooEarly);
    await expect(serve.csi.controller.ListVolumes({})).rejects.toMatchObject(tooEarly);
    expect(await healthOf(port)).toEqual([503, 'starting\n']);
    expect((await fetch(`http://127.0.0.1:${port}/metrics`)).status).toBe(200);
  }
  await using serve = await Serve.start(scratch, { flags });
  expect(await serve.csi.identity.Probe({})).toEqual({ ready: { value: true } });
  expect(await serve.csi.controller.ListVolumes({})).toMatchObject({ entries: [] });
  expect(await healthOf(port)).toEqual([200, 'ok\n']);
  await serve.stop();
});

test('a pool that can not be opened ends it with its error, and without its socket', async () => {
  await using scratch = await Scratch.open();
  const outcome = await Serve.start(scratch, { failpoints: 'pool.mounted=fail:EIO' }).catch((error: unknown) => error);
  expect(outcome).toBeInstanceOf(DiedError);
  expect(outcome).toMatchObject({ signal: null, message: expect.stringContaining('EIO') });
  expect(await exists(scratch.path('csi.sock'))).toBe(false);
});

test('the folder of sockets below /run is made at every start, any other must be there', async () => {
  const before = await exists(RUN_FOLDER);
  await makeRunFolder(`${RUN_FOLDER}/csi.sock`);
  await makeRunFolder(`${RUN_FOLDER}/csi.sock`);
  expect((await stat(RUN_FOLDER)).isDirectory()).toBe(true);
  if (!before) {
    expect((await stat(RUN_FOLDER)).mode & 0o777).toBe(0o700);
    await rmdir(RUN_FOLDER);
  }
  await makeRunFolder('/run/coferdam/csi.sock');
  expect(await exists('/run/coferdam')).toBe(false);
});

test('it has threads for many long clones, however it was started', async () => {
  await using scratch = await Scratch.open();
  await using serve = await Serve.start(scratch);
  // All of them are started with the first.
  expect((await readdir(`/proc/${serve.pid}/task`)).length).toBeGreaterThan(64);
  await serve.stop();
});
