import type { PoolCapacity } from './capacity.ts';
import type { NodeName } from './ids.ts';

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

/** A call of the controller to an agent. */
export interface AgentCall {
  readonly node: NodeName;
  /** `Freeze` */
  readonly method: string;
  readonly code: string;
  readonly seconds: number;
}

export interface RoundOutcome {
  /** `unfinished`: decided, and not yet committed on every node. `undecided`: whether it was committed is not known. */
  readonly outcome: 'committed' | 'aborted' | 'unfinished' | 'undecided';
  /** How long each phase took that was gone through, milliseconds. */
  readonly phaseMs: ReadonlyMap<string, number>;
  /** Only of a round that was committed. */
  readonly members?: number;
  readonly windowMs?: number;
}

/** What the driver measures. `obs/metrics.ts` makes Prometheus metrics of it. */
export interface Metrics {
  rpc(outcome: RpcOutcome): void;
  agentCall(call: AgentCall): void;
  round(outcome: RoundOutcome): void;
  /** A lease ended while something was frozen under it: its round must fail. */
  leaseLost(): void;
  /** Members that are frozen or suspended at this moment, in rounds and for clones. */
  frozenNow(members: number): void;
  pool(capacity: PoolCapacity): void;
}
