/**
 * LVM's own shell as a process that stays: a command in it costs a third of one in a process of its own, which reads
 * configuration and tables anew. Standard input takes commands, one line each; descriptor 3 answers each with one JSON
 * object, whose log says how it ended (lvmreport(7), "lvm.conf(5) report_command_log").
 */
import type { Readable, Writable } from 'node:stream';
import { DriverError } from '../../core/errors.ts';
import { type Child, startChild } from '../child.ts';
import { CommandError } from '../exec.ts';
import { type LvmReply, parseReply, type Report, type ReportRow } from './report.ts';

const REPORT_FD = 3;
/** LVM's shell takes no more words in a line (MAX_ARGS). */
const MAX_WORDS = 60;
const SUCCESS = '1';

interface Waiting {
  readonly argv: readonly string[];
  readonly resolve: (reply: LvmReply) => void;
  readonly reject: (error: Error) => void;
}

export class LvmShell implements AsyncDisposable {
  readonly #child: Child;
  readonly #commands: Writable;
  #received = '';
  #waiting: Waiting | undefined;
  #alive = true;

  private constructor(child: Child, commands: Writable, replies: Readable) {
    this.#child = child;
    this.#commands = commands;
    commands.on('error', () => undefined); // its death is noticed by `exited`
    replies.setEncoding('utf8').on('data', (text: string) => this.#receive(text));
    void child.exited.then(() => {
      this.#alive = false;
      this.#fail('the shell of LVM ended', false);
    });
  }

  static async start(env: Readonly<Record<string, string>>): Promise<LvmShell> {
    const child = await startChild(['lvm'], {
      env: { ...env, LVM_REPORT_FD: String(REPORT_FD) },
      stdio: ['pipe', 'ignore', 'ignore', 'pipe'],
    });
    const replies = child.stdio[REPORT_FD];
    if (!child.stdin || !replies || !('setEncoding' in replies)) {
      throw new DriverError('internal', 'the shell of LVM was started without pipes');
    }
    return new LvmShell(child, child.stdin, replies);
  }

  /** Whether it can take a command now. */
  get free(): boolean {
    return this.#alive && this.#waiting === undefined;
  }

  get alive(): boolean {
    return this.#alive;
  }

  /** Whether a command can be told to it: it splits lines at blanks, and knows quotes in ways of its own. */
  static takes(argv: readonly string[]): boolean {
    return argv.length <= MAX_WORDS && argv.every((word) => word !== '' && !/[\s'"\\]/.test(word));
  }

  /**
   * Runs one command; only when it is `free`.
   * @throws CommandError when the command failed, or the shell died or hung meanwhile: then it has ended
   */
  async execute(argv: readonly string[], timeoutMs: number): Promise<Report> {
    const { promise, resolve, reject } = Promise.withResolvers<LvmReply>();
    this.#waiting = { argv, resolve, reject };
    const hung = setTimeout(() => {
      this.#alive = false;
      this.#fail('the shell of LVM did not answer', true);
      this.#child.kill('SIGKILL');
    }, timeoutMs);
    try {
      this.#commands.write(`${argv.join(' ')}\n`);
      const { report = [], log = [] } = await promise;
      const end = log.find(isEnd);
      if (end?.log_ret_code === SUCCESS) return report;
      throw commandError(argv, Number(end?.log_ret_code), errorsIn(log), false);
    } finally {
      clearTimeout(hung);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#commands.end();
    await this.#child.exited;
  }

  #receive(text: string): void {
    this.#received += text;
    const reply = parse(this.#received);
    // Until the entry about the command as a whole, it is not over.
    if (!reply?.log?.some(isEnd)) return;
    const waiting = this.#waiting;
    this.#waiting = undefined;
    this.#received = '';
    waiting?.resolve(reply);
  }

  #fail(reason: string, timedOut: boolean): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.reject(commandError(waiting.argv, undefined, reason, timedOut));
  }
}

function isEnd(entry: ReportRow): boolean {
  return entry.log_context === 'shell' && entry.log_object_type === 'cmd';
}

function errorsIn(log: readonly ReportRow[]): string {
  const errors = log.filter(({ log_type: type }) => type === 'error').map(({ log_message: message = '' }) => message);
  return errors.join('\n');
}

/** Undefined while it is not whole. */
function parse(text: string): LvmReply | undefined {
  if (!text.trimEnd().endsWith('}')) return undefined;
  try {
    return parseReply(text);
  } catch {
    return undefined;
  }
}

function commandError(
  argv: readonly string[],
  exitCode: number | undefined,
  stderr: string,
  timedOut: boolean,
): CommandError {
  return new CommandError(['lvm', ...argv], {
    exitCode,
    signal: exitCode === undefined ? 'SIGKILL' : undefined,
    stdout: '',
    stderr,
    timedOut,
  });
}
