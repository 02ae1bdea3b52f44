import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Logger, Metrics, RpcOutcome } from '../../../src/core/observe.ts';

export interface LogLine {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly fields: Readonly<Record<string, unknown>>;
  readonly message: string;
}

export class MemoryLogger implements Logger {
  readonly lines: LogLine[] = [];

  debug(fields: LogLine['fields'], message: string): void {
    this.lines.push({ level: 'debug', fields, message });
  }

  info(fields: LogLine['fields'], message: string): void {
    this.lines.push({ level: 'info', fields, message });
  }

  warn(fields: LogLine['fields'], message: string): void {
    this.lines.push({ level: 'warn', fields, message });
  }

  error(fields: LogLine['fields'], message: string): void {
    this.lines.push({ level: 'error', fields, message });
  }
}

export class MemoryMetrics implements Metrics {
  readonly rpcs: RpcOutcome[] = [];

  rpc(outcome: RpcOutcome): void {
    this.rpcs.push(outcome);
  }

  agentCall(): void {
    throw new Error('not expected');
  }

  round(): void {
    throw new Error('not expected');
  }

  leaseLost(): void {
    throw new Error('not expected');
  }

  frozenNow(): void {
    throw new Error('not expected');
  }

  pool(): void {
    throw new Error('not expected');
  }
}

/** A folder that is gone when the test is. */
export async function temporaryFolder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'cofferdam-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}
