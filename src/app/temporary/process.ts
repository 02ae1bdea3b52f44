/** A role as a child process in the folder of a temporary run. */
import { mkdir, open } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DriverError } from '../../core/errors.ts';
import { moduleFile } from '../../core/module-file.ts';
import { type Child, startChild } from '../../host/child.ts';
import { waitUntilReady } from '../../prove/csi-client.ts';
import { connect } from '../../rpc/client.ts';

const START_LIMIT_MS = 60_000;
const STOP_LIMIT_MS = 30_000;

export interface ProcessPlan {
  readonly role: 'serve' | 'node' | 'controller';
  /** Its own, in the folder of the run. */
  readonly folder: string;
  readonly flags: readonly string[];
  /** Its log goes to this file; to our standard error unless told. */
  readonly logFile?: string;
  /** The command line that runs it where it shall run. */
  readonly command?: (argv: readonly string[]) => readonly string[];
}

export class TemporaryProcess implements AsyncDisposable {
  readonly endpoint: string;
  readonly dataDir: string;
  readonly #plan: ProcessPlan;
  #child: Child | undefined;

  constructor(plan: ProcessPlan) {
    this.#plan = plan;
    this.endpoint = `unix://${path.join(plan.folder, 'csi.sock')}`;
    this.dataDir = path.join(plan.folder, 'data');
  }

  /** Undefined while it does not run. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Resolves when it answers. @throws DriverError unavailable when it ends instead */
  async start(): Promise<void> {
    const { role, folder, flags, logFile, command = (argv) => argv } = this.#plan;
    const hasPool = role !== 'controller';
    await mkdir(hasPool ? this.dataDir : folder, { recursive: true });
    const places = ['--endpoint', this.endpoint, ...(hasPool ? ['--data-dir', this.dataDir] : [])];
    await using log = logFile === undefined ? undefined : await open(logFile, 'a');
    const child = await startChild(
      command([
        process.execPath,
        moduleFile('main'),
        role,
        '--until-stdin-closes',
        ...places,
        '--log-level',
        'warn',
        ...flags,
      ]),
      // Detached: an interrupt from the terminal reaches this process, which then stops the child in its own order.
      { stdio: ['pipe', 'ignore', log?.fd ?? 'inherit'], detached: true },
    );
    this.#child = child;
    void child.exited.then(() => {
      if (this.#child === child) this.#child = undefined;
    });
    await ready(this.endpoint, child, role);
  }

  /** Resolves when it has ended, however. @returns its exit code; undefined when it did not run, or was killed */
  async ended(): Promise<number | undefined> {
    return (await this.#child?.exited)?.code ?? undefined;
  }

  /** @returns false when it does not run */
  signal(signal: NodeJS.Signals): boolean {
    return this.#child?.kill(signal) ?? false;
  }

  /** As a power cut would, but for the kernel. */
  async kill(): Promise<void> {
    const child = this.#child;
    child?.kill('SIGKILL');
    await child?.exited;
  }

  /** In its own order; at once when it does not end. @returns its exit code; undefined when it does not run, or was killed */
  async stop(): Promise<number | undefined> {
    const child = this.#child;
    if (!child) return undefined;
    child.stdin?.end();
    const patience = new AbortController();
    const limit = sleep(STOP_LIMIT_MS, 'late', { signal: patience.signal }).catch(() => 'ended');
    if ((await Promise.race([child.exited, limit])) === 'late') child.kill('SIGKILL');
    patience.abort();
    return (await child.exited).code ?? undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

async function ready(endpoint: string, child: Child, role: string): Promise<void> {
  using channel = connect(endpoint);
  const died = child.exited.then(({ code, signal }) => {
    throw new DriverError('unavailable', `the temporary ${role} ended with ${code ?? signal} before it was ready`);
  });
  await Promise.race([waitUntilReady(channel, START_LIMIT_MS), died]);
}
