import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import { Connection } from '../../../src/rpc/connection.ts';

/** Longer than gRPC waits before it tries again. */
const BACKOFF_MS = 2500;

test('a connection that failed is not tried again by anybody', async () => {
  const server = createServer();
  const open = new Set<Socket>();
  server.on('connection', (socket) => {
    open.add(socket);
    socket.on('error', () => undefined).on('close', () => open.delete(socket));
    socket.resume();
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');

  const connection = new Connection({ kind: 'tcp', host: '127.0.0.1', port });
  await expect(connection.established).rejects.toMatchObject({
    code: 'unavailable',
    message: `connect ECONNREFUSED 127.0.0.1:${port}`,
  });
  expect(connection.state).toBe('over');
  await once(server.listen(port, '127.0.0.1'), 'listening');
  await sleep(BACKOFF_MS);
  expect(open.size).toBe(0);
  server.close();
});

test('one that is given up while it is being made ends, and says so', async () => {
  const server = createServer();
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  const accepted = once(server, 'connection') as Promise<[Socket]>;
  const connection = new Connection({ kind: 'tcp', host: '127.0.0.1', port });
  const failed = expect(connection.established).rejects.toMatchObject({
    code: 'unavailable',
    message: 'the connection was given up',
  });
  const [socket] = await accepted;
  const closed = once(socket.on('error', () => undefined).resume(), 'close');
  connection[Symbol.dispose]();
  await Promise.all([failed, closed]);
  server.close();
});
