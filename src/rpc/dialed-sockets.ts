import { AsyncLocalStorage } from 'node:async_hooks';
import { subscribe } from 'node:diagnostics_channel';
import type { Socket } from 'node:net';

type Note = (socket: Socket) => void;

const noting = new AsyncLocalStorage<Note>();

subscribe('net.client.socket', (message) => {
  const { socket } = message as { readonly socket: Socket };
  noting.getStore()?.(socket);
});

/**
 * Runs `work`; `note` hears of every socket that comes of it, now or later, before it is connected. gRPC bounds no attempt
 * to connect, can't give one up, and may make another for nobody: whoever has the sockets can end it.
 */
export function notingSockets(note: Note, work: () => void): void {
  noting.run(note, work);
}
