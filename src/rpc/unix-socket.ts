import { randomBytes } from 'node:crypto';
import { chmod, lstat, rename, rm, stat } from 'node:fs/promises';
import { connect } from 'node:net';
import { basename, dirname, join } from 'node:path';
import { DriverError, isErrno, messageOf } from '../core/errors.ts';

/** Only root talks to a CSI socket: who can call it can mount, and read secrets. */
const SOCKET_MODE = 0o600;

/** A socket that is bound under a name of its own, and gets its real one only when it is safe to connect to. */
export interface SocketPlace {
  /** Bind here. No longer than the real path, save for names under four characters. */
  readonly temporaryPath: string;
  /** Sets the mode, then gives the socket its name, replacing a stale one. */
  publish(): Promise<void>;
  /** Removes the socket, if the path still leads to ours. */
  remove(): Promise<void>;
}

/**
 * Between bind() and chmod() a socket has the mode that the umask leaves; nobody knows its name at that time.
 * @throws DriverError failed-precondition when another process listens at `path`, or it is no socket
 */
export async function claimSocketPlace(path: string): Promise<SocketPlace> {
  await needFolder(dirname(path));
  await refuseIfTaken(path);
  const length = Math.max(3, basename(path).length - 1);
  const temporaryPath = join(dirname(path), `.${randomBytes(length).toString('hex').slice(0, length)}`);
  let ours: string | undefined;
  return {
    temporaryPath,
    publish: async () => {
      await chmod(temporaryPath, SOCKET_MODE);
      ours = await identity(temporaryPath);
      await rename(temporaryPath, path);
    },
    remove: async () => {
      await rm(temporaryPath, { force: true });
      if (ours !== undefined && (await identity(path)) === ours) await rm(path, { force: true });
    },
  };
}

/** gRPC does not say why it could not bind. */
async function needFolder(folder: string): Promise<void> {
  const stats = await stat(folder).catch(() => undefined);
  if (!stats?.isDirectory()) {
    throw new DriverError('failed-precondition', `${folder} is no folder: a socket can't be made there`);
  }
}

async function refuseIfTaken(path: string): Promise<void> {
  const stats = await lstat(path).catch((error: unknown) => {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw new DriverError('failed-precondition', `${path} can't be used as a socket: ${messageOf(error)}`, {
      cause: error,
    });
  });
  if (!stats) return;
  if (!stats.isSocket()) throw new DriverError('failed-precondition', `${path} exists and is not a socket`);
  if (await someoneListens(path)) {
    throw new DriverError('failed-precondition', `another process is listening at ${path}`);
  }
}

function someoneListens(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', (error) => {
      // EAGAIN: the backlog of whoever listens is full.
      if (isErrno(error, 'ECONNREFUSED', 'ENOENT')) resolve(false);
      else if (isErrno(error, 'EAGAIN')) resolve(true);
      else reject(new DriverError('failed-precondition', `${path} is in the way: ${error.message}`, { cause: error }));
    });
  });
}

async function identity(path: string): Promise<string | undefined> {
  try {
    const { dev, ino } = await lstat(path, { bigint: true });
    return `${dev}:${ino}`;
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}
