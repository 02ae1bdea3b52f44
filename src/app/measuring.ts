import type { Metrics } from '../core/observe.ts';

export interface Measuring {
  readonly metrics: Metrics;
  /** Absent where nobody can read them. @param refresh called before each scrape */
  readonly expose?: (ready: () => boolean, refresh: () => Promise<void>) => Promise<AsyncDisposable>;
}

/** Prometheus metrics where somebody can read them; else nothing is counted, and their library is not even loaded. */
export async function measure(address: string | undefined): Promise<Measuring> {
  if (address === undefined) {
    const ignore = () => undefined;
    return {
      metrics: { rpc: ignore, agentCall: ignore, round: ignore, leaseLost: ignore, frozenNow: ignore, pool: ignore },
    };
  }
  const [{ PrometheusMetrics }, { serveMetrics }] = await Promise.all([
    import('../obs/metrics.ts'),
    import('../obs/metrics-server.ts'),
  ]);
  const metrics = new PrometheusMetrics();
  return { metrics, expose: (ready, refresh) => serveMetrics({ address, metrics, ready, refresh }) };
}
