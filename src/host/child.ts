import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { DriverError } from '../core/errors.ts';
import { COMMAND_ENV, describeMissing } from './tools.ts';

export interface ChildOptions {
  /** Added to the fixed environment of every command. */
  readonly env?: Readonly<Record<string, string>>;
  /** In a process group and session of its own: what kills this process's group does not reach it. */
  readonly detached?: boolean;
  readonly cwd?: string;
}

export interface ChildStdio {
  /** As in node:child_process. */
  readonly stdio: StdioOptions;
}

export interface ChildExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A process that was started and goes on. */
export interface RunningChild {
  readonly pid: number;
  /** Resolves when it has ended, and was reaped; never rejects. */
  readonly exited: Promise<ChildExit>;
  /** @returns false when it has ended already */
  kill(signal: NodeJS.Signals): boolean;
  /** The event loop need not stay alive for it; its pipes still keep it so. */
  unref(): void;
}

export interface ChildHandle extends RunningChild {
  readonly stdin: Writable;
  readonly stdout: Readable;
}

export interface CustomChildHandle extends RunningChild {
  /** The pipes by descriptor; null where `stdio` asked for none. */
  readonly stdio: readonly (Readable | Writable | null | undefined)[];
}

/**
 * Starts a long-lived child process; for commands that end by themselves there is `run`. Without `stdio`, standard
 * input and output are pipes, and standard error is this process's.
 * @throws DriverError failed-precondition when it can't be started
 */
export function startChild(argv: readonly string[], options?: ChildOptions): ChildHandle;
export function startChild(argv: readonly string[], options: ChildOptions & ChildStdio): CustomChildHandle;
export function startChild(
  argv: readonly string[],
  options: ChildOptions & Partial<ChildStdio> = {},
): ChildHandle | CustomChildHandle {
  const [file = '', ...args] = argv;
  const child = spawn(file, args, {
    stdio: options.stdio ?? ['pipe', 'pipe', 'inherit'],
    detached: options.detached ?? false,
    env: { ...COMMAND_ENV, ...options.env },
    ...(options.cwd !== undefined && { cwd: options.cwd }),
  });
  // Unhandled, an 'error' event would end this process. A failed start shows in the missing pid, right here; later ones
  // only repeat what kill() and the pipes report.
  child.on('error', () => undefined);
  if (child.pid === undefined) {
    throw new DriverError('failed-precondition', `${file} can't be started: ${describeMissing(file)}`);
  }
  const running = runningChild(child, child.pid);
  const { stdin, stdout, stdio } = child;
  return options.stdio === undefined && stdin && stdout ? { ...running, stdin, stdout } : { ...running, stdio };
}

function runningChild(child: ChildProcess, pid: number): RunningChild {
  return {
    pid,
    exited: new Promise((resolve) => {
      child.once('exit', (code, signal) => resolve({ code, signal }));
    }),
    kill: (signal) => child.kill(signal),
    unref: () => child.unref(),
  };
}
