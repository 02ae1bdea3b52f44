/** A guard of its own role, in a container of its own: it survives the agent's, and is not ours to kill. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { DriverError, messageOf } from '../../core/errors.ts';
import { closed, type GuardLink, goneOrSoon } from './link.ts';

/** @throws DriverError unavailable when no guard listens at `path` */
export async function joinGuard(path: string): Promise<GuardLink> {
  const socket = connect(path);
  try {
    await once(socket, 'connect');
  } catch (cause) {
    throw new DriverError('unavailable', `no guard listens at ${path}: ${messageOf(cause)}`, { cause });
  }
  socket.on('error', () => undefined); // it closes then
  const gone = closed(socket);
  return {
    requests: socket,
    replies: socket,
    gone,
    end: async () => {
      socket.end();
      // It may stay stopped for longer than this process wants to live.
      socket.unref();
      await goneOrSoon(gone);
    },
  };
}
