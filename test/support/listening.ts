import { connect } from 'node:net';

/** Whether somebody accepts connections at this unix socket. */
export function isListening(socket: string): Promise<boolean> {
  return new Promise((resolve) => {
    const connection = connect(socket);
    const answer = (yes: boolean) => {
      connection.destroy();
      resolve(yes);
    };
    connection.once('connect', () => answer(true));
    connection.once('error', () => answer(false));
  });
}
