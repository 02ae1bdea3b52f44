import type { PoolCapacity } from './capacity.ts';

/** Structured fields of one log line. An `err` field is written with its stack and causes. */
export type LogFields = Readonly<Record<string, unknown>>;

/** Inner code throws and does not log; the edges (rpc, fence observer, app) write one line per event. */
export interface Logger {
  debug(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  error(fields: LogFields, message: string): void;
}

export interface RpcOutcome {
  /** `csi.v1.Controller` */
  readonly service: string;
  /** `CreateVolume` */
  readonly method: string;
  /** `OK`, `ABORTED`, ...: the gRPC code's name. */
  readonly code: string;
  readonly seconds: number;
}

/** What the driver measures. `obs/metrics.ts` makes Prometheus metrics of it. */
export interface Metrics {
  rpc(outcome: RpcOutcome): void;
  roundCommitted(members: number, windowMs: number): void;
  roundAborted(): void;
  /** Members whose filesystem is frozen at this moment. */
  frozenNow(members: number): void;
  pool(capacity: PoolCapacity): void;
}
