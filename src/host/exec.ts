import type { ExecaError } from 'execa';
import { cancelled } from '../core/errors.ts';
import { COMMAND_ENV, notInstalled } from './tools.ts';

export interface RunOptions {
  /** Kills the command; `run` then throws what the signal says. */
  readonly signal?: AbortSignal;
  /** Milliseconds until the command is killed; a minute unless told. */
  readonly timeoutMs?: number;
  /** Exit codes that are an answer and no failure; 0 unless told. */
  readonly okCodes?: readonly number[];
  /** Written to standard input, which is closed otherwise. */
  readonly input?: string;
  /** Added to the fixed environment of every command. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface CommandResult {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode: number;
}

/** A command failed. Carries what is needed to see why, without running it again. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
  readonly argv: readonly string[];
  /** Undefined when a signal ended it. */
  readonly exitCode: number | undefined;
  readonly signal: string | undefined;
  readonly stdout: string;
  readonly stderr: string;
  readonly timedOut: boolean;

  constructor(argv: readonly string[], outcome: Omit<CommandFacts, 'argv'>, options?: ErrorOptions) {
    super(describe(argv, outcome), options);
    this.argv = argv;
    this.exitCode = outcome.exitCode;
    this.signal = outcome.signal;
    this.stdout = outcome.stdout;
    this.stderr = outcome.stderr;
    this.timedOut = outcome.timedOut;
  }
}

interface CommandFacts {
  readonly exitCode: number | undefined;
  readonly signal: string | undefined;
  readonly stdout: string;
  readonly stderr: string;
  readonly timedOut: boolean;
}

const DEFAULT_TIMEOUT_MS = 60_000;

/**
 * Runs a command to its end: an argument vector, never a shell; a fixed environment, so that messages are in English.
 * @throws CommandError for an exit code that is not ok, a signal, or the timeout
 * @throws DriverError failed-precondition when the command is not installed; what the signal says when it fired, cancelled unless told
 */
export async function run(argv: readonly string[], options: RunOptions = {}): Promise<CommandResult> {
  const [file = '', ...args] = argv;
  if (options.signal?.aborted) throw cancelled(file, options.signal);
  // Loaded with the first command: it is a fifth of the start, and of the memory of a driver that runs none.
  const { execa } = await import('execa');
  const result = await execa(file, args, {
    reject: false,
    extendEnv: false,
    env: { ...COMMAND_ENV, ...options.env },
    stripFinalNewline: false,
    timeout: options.timeoutMs ?? DEFAULT_TIMEOUT_MS,
    killSignal: 'SIGKILL',
    ...(options.signal && { cancelSignal: options.signal }),
    ...(options.input === undefined ? { stdin: 'ignore' as const } : { input: options.input }),
  });
  if (result.isCanceled && options.signal) throw cancelled(file, options.signal);
  const cause: ExecaError | undefined = result.failed ? (result as unknown as ExecaError) : undefined;
  if (cause?.code === 'ENOENT' && result.exitCode === undefined) throw notInstalled(file, cause);
  const { exitCode } = result;
  if (exitCode !== undefined && !result.timedOut && (options.okCodes ?? [0]).includes(exitCode)) {
    return { stdout: result.stdout, stderr: result.stderr, exitCode };
  }
  throw new CommandError(
    argv,
    {
      exitCode,
      signal: result.signal,
      // Of a command that could not be started there is no output at all.
      stdout: result.stdout ?? '',
      stderr: result.stderr ?? cause?.shortMessage ?? '',
      timedOut: result.timedOut,
    },
    { cause },
  );
}

function describe(argv: readonly string[], { exitCode, signal, stderr, stdout, timedOut }: CommandFacts): string {
  const end = timedOut
    ? 'ran into its timeout'
    : exitCode === undefined
      ? `died of ${signal}`
      : `exited with ${exitCode}`;
  const said = (stderr.trim() || stdout.trim()).slice(-2000);
  return `${argv.join(' ')} ${end}${said ? `: ${said}` : ''}`;
}
