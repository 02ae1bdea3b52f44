import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import { DriverError, isErrno } from '../core/errors.ts';
import { COMMAND_ENV, notInstalled } from './tools.ts';

export interface ChildOptions {
  /** Added to the fixed environment of every command. */
  readonly env?: Readonly<Record<string, string>>;
  /** As in node:child_process; everything is ignored unless told. */
  readonly stdio?: StdioOptions;
  /** In a process group and session of its own: what kills this process's group does not reach it. */
  readonly detached?: boolean;
  readonly cwd?: string;
}

export interface ChildExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A process that was started and goes on. */
export interface Child {
  readonly pid: number;
  /** Null where `stdio` asked for no pipe. */
  readonly stdin: Writable | null;
  readonly stdout: Readable | null;
  readonly stderr: Readable | null;
  /** All pipes by descriptor, for those past 2. */
  readonly stdio: readonly (Readable | Writable | null | undefined)[];
  /** Resolves when it has ended, and was reaped; never rejects. */
  readonly exited: Promise<ChildExit>;
  /** @returns false when it has ended already */
  kill(signal: NodeJS.Signals): boolean;
}

/**
 * Starts a long-lived child process; for commands that end by themselves there is `run`.
 * @throws DriverError failed-precondition when the command is not there, internal when it can't be started
 */
export async function startChild(argv: readonly string[], options: ChildOptions = {}): Promise<Child> {
  const [file = '', ...args] = argv;
  const child = spawn(file, args, {
    stdio: options.stdio ?? 'ignore',
    detached: options.detached ?? false,
    env: { ...COMMAND_ENV, ...options.env },
    ...(options.cwd !== undefined && { cwd: options.cwd }),
  });
  const exited = exitOf(child);
  try {
    await once(child, 'spawn');
  } catch (cause) {
    if (isErrno(cause, 'ENOENT')) throw notInstalled(file, cause);
    throw new DriverError('internal', `${file} can't be started`, { cause });
  }
  // After the start an 'error' event only repeats what kill() or the pipes report; unhandled it would end the process.
  child.on('error', () => undefined);
  return {
    pid: child.pid ?? 0,
    stdin: child.stdin,
    stdout: child.stdout,
    stderr: child.stderr,
    stdio: child.stdio,
    exited,
    kill: (signal) => child.kill(signal),
  };
}

function exitOf(child: ChildProcess): Promise<ChildExit> {
  return new Promise((resolve) => {
    child.once('exit', (code, signal) => resolve({ code, signal }));
  });
}
