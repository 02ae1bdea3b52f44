import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { PoolCapacity } from '../core/capacity.ts';
import type { AgentCall, Metrics, RoundOutcome, RpcOutcome } from '../core/observe.ts';

/** The driver's metrics in Prometheus' text format; docs/metrics.md lists them. */
export class PrometheusMetrics implements Metrics {
  readonly #registry = new Registry();
  readonly #rpcs = new Histogram({
    name: 'cofferdam_rpc_duration_seconds',
    help: 'Time from the arrival of a call to its answer',
    labelNames: ['service', 'method', 'code'],
    buckets: [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 60],
    registers: [this.#registry],
  });
  readonly #rounds = new Counter({
    name: 'cofferdam_rounds_total',
    help: 'Snapshot rounds by what they came to',
    labelNames: ['outcome'],
    registers: [this.#registry],
  });
  readonly #members = new Counter({
    name: 'cofferdam_round_members_total',
    help: 'Snapshots taken in committed rounds',
    registers: [this.#registry],
  });
  readonly #window = new Histogram({
    name: 'cofferdam_round_window_seconds',
    help: 'Time from the first freeze call to the last thaw return of a committed round',
    buckets: [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30],
    registers: [this.#registry],
  });
  readonly #phases = new Histogram({
    name: 'cofferdam_round_phase_seconds',
    help: 'Time that each phase of a round took, of all rounds',
    labelNames: ['phase'],
    buckets: [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30],
    registers: [this.#registry],
  });
  readonly #leasesLost = new Counter({
    name: 'cofferdam_leases_lost_total',
    help: 'Fences on this node that their lease ended, and not their round',
    registers: [this.#registry],
  });
  readonly #agentCalls = new Histogram({
    name: 'cofferdam_agent_call_duration_seconds',
    help: 'Time that a call of the controller to an agent took, the network included',
    labelNames: ['node', 'method', 'code'],
    buckets: [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30],
    registers: [this.#registry],
  });
  readonly #frozen = new Gauge({
    name: 'cofferdam_frozen_members',
    help: 'Members that are frozen or suspended at this moment, in rounds and for clones',
    registers: [this.#registry],
  });
  readonly #pool = new Gauge({
    name: 'cofferdam_pool_bytes',
    help: 'The pool: its size, what is free in it, what was promised, and the largest volume that can be made now',
    labelNames: ['kind'],
    registers: [this.#registry],
  });
  readonly #poolUsed = new Gauge({
    name: 'cofferdam_pool_used_ratio',
    help: 'Share of the pool that is used, 0 to 1: of its data, and of its metadata where that can run out',
    labelNames: ['of'],
    registers: [this.#registry],
  });

  constructor() {
    collectDefaultMetrics({ register: this.#registry });
    // A counter that has not counted yet is 0, not absent: rates need the step.
    for (const outcome of ['committed', 'aborted', 'unfinished', 'undecided']) this.#rounds.inc({ outcome }, 0);
  }

  rpc({ service, method, code, seconds }: RpcOutcome): void {
    this.#rpcs.observe({ service, method, code }, seconds);
  }

  agentCall({ node, method, code, seconds }: AgentCall): void {
    this.#agentCalls.observe({ node, method, code }, seconds);
  }

  round({ outcome, phaseMs, members, windowMs }: RoundOutcome): void {
    this.#rounds.inc({ outcome });
    for (const [phase, ms] of phaseMs) this.#phases.observe({ phase }, ms / 1000);
    if (members !== undefined) this.#members.inc(members);
    if (windowMs !== undefined) this.#window.observe(windowMs / 1000);
  }

  leaseLost(): void {
    this.#leasesLost.inc();
  }

  frozenNow(members: number): void {
    this.#frozen.set(members);
  }

  /** Metrics are floating point: the last bits of a pool above 8 PiB are lost here, and only here. */
  pool({ totalBytes, freeBytes, promisedBytes, availableBytes, metadataUsedShare }: PoolCapacity): void {
    this.#pool.set({ kind: 'total' }, Number(totalBytes));
    this.#pool.set({ kind: 'free' }, Number(freeBytes));
    this.#pool.set({ kind: 'promised' }, Number(promisedBytes));
    this.#pool.set({ kind: 'available' }, Number(availableBytes));
    this.#poolUsed.set({ of: 'data' }, 1 - Number(freeBytes) / Number(totalBytes));
    if (metadataUsedShare !== undefined) this.#poolUsed.set({ of: 'metadata' }, metadataUsedShare);
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  text(): Promise<string> {
    return this.#registry.metrics();
  }
}
