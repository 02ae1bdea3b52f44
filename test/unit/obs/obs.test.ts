import { expect, test } from '@jest/globals';
import { createLogger } from '../../../src/obs/logger.ts';
import { PrometheusMetrics } from '../../../src/obs/metrics.ts';
import { serveMetrics } from '../../../src/obs/metrics-server.ts';

test('the logger blanks secret fields, also those that a caller forgot', () => {
  const lines: string[] = [];
  const output = { write: (line: string) => void lines.push(line) };
  const logger = createLogger({ level: 'info', secretFields: ['secrets'], output });
  logger.info(
    { secrets: 'hunter2', request: { secrets: { key: 'hunter2' }, a: { b: { secrets: 'hunter2' } } } },
    'rpc',
  );
  logger.debug({}, 'not at this level');
  logger.error({ err: new Error('top', { cause: new Error('below') }), bytes: 2n ** 63n }, 'failed');
  expect(lines).toHaveLength(2);
  expect(lines.join('')).not.toContain('hunter2');
  expect(JSON.parse(lines[0] ?? '')).toMatchObject({ level: 'info', msg: 'rpc', request: { secrets: '[redacted]' } });
  expect(lines[1]).toContain('obs.test');
  expect(lines[1]).toContain('below');
  expect(lines[1]).toContain('9223372036854775808');
});

test('the logger shows what went wrong first, and what failed in the clean-up', () => {
  const lines: string[] = [];
  const logger = createLogger({ level: 'info', secretFields: [], output: { write: (line) => void lines.push(line) } });
  logger.error({ err: new SuppressedError(new Error('busy'), new Error('no such volume')) }, 'failed');
  const { err } = JSON.parse(lines[0] ?? '') as { readonly err: unknown };
  expect(err).toMatchObject({ message: 'no such volume', cleanUp: [{ message: 'busy' }] });
});

test('metrics are served with what they measured', async () => {
  const metrics = new PrometheusMetrics();
  let ready = false;
  await using server = await serveMetrics({
    address: '127.0.0.1:0',
    metrics,
    ready: () => ready,
    refresh: async () => {
      metrics.pool({ totalBytes: 4n, freeBytes: 3n, promisedBytes: 2n, availableBytes: 1n, metadataUsedShare: 0.5 });
      throw new Error('the pool is away');
    },
  });
  metrics.rpc({ service: 'csi.v1.Identity', method: 'Probe', code: 'OK', seconds: 0.002 });
  const phaseMs = new Map([['freeze', 6]]);
  metrics.round({ outcome: 'committed', members: 16, windowMs: 14, phaseMs });
  metrics.round({ outcome: 'aborted', phaseMs });
  metrics.round({ outcome: 'undecided', phaseMs });
  metrics.leaseLost();
  metrics.agentCall({ node: 'node-a', method: 'Freeze', code: 'OK', seconds: 0.004 });
  metrics.frozenNow(16);
  const get = async (path: string, init?: RequestInit) => {
    const response = await fetch(`http://127.0.0.1:${server.port}${path}`, init);
    return { status: response.status, body: await response.text() };
  };
  const { body } = await get('/metrics');
  expect(body).toContain('cofferdam_rpc_duration_seconds_count{service="csi.v1.Identity",method="Probe",code="OK"} 1');
  expect(body).toContain('cofferdam_rounds_total{outcome="committed"} 1');
  expect(body).toContain('cofferdam_rounds_total{outcome="aborted"} 1');
  expect(body).toContain('cofferdam_rounds_total{outcome="undecided"} 1');
  expect(body).toContain('cofferdam_rounds_total{outcome="unfinished"} 0');
  expect(body).toContain('cofferdam_round_members_total 16');
  expect(body).toContain('cofferdam_round_window_seconds_sum 0.014');
  expect(body).toContain('cofferdam_round_phase_seconds_sum{phase="freeze"} 0.018');
  expect(body).toContain('cofferdam_leases_lost_total 1');
  expect(body).toContain('cofferdam_agent_call_duration_seconds_sum{node="node-a",method="Freeze",code="OK"} 0.004');
  expect(body).toContain('cofferdam_frozen_members 16');
  expect(body).toContain('cofferdam_pool_bytes{kind="available"} 1');
  expect(body).toContain('cofferdam_pool_used_ratio{of="data"} 0.25');
  expect(body).toContain('cofferdam_pool_used_ratio{of="metadata"} 0.5');
  expect(await get('/healthz')).toEqual({ status: 503, body: 'starting\n' });
  ready = true;
  expect(await get('/healthz?x')).toEqual({ status: 200, body: 'ok\n' });
  expect((await get('/')).status).toBe(404);
  expect((await get('/metrics', { method: 'POST' })).status).toBe(405);
});

test('an address that is none is refused, one that is taken too', async () => {
  const metrics = new PrometheusMetrics();
  const ready = () => true;
  await expect(serveMetrics({ address: 'nonsense', metrics, ready })).rejects.toMatchObject({
    code: 'invalid-argument',
  });
  await using first = await serveMetrics({ address: '127.0.0.1:0', metrics, ready });
  await expect(serveMetrics({ address: `127.0.0.1:${first.port}`, metrics, ready })).rejects.toMatchObject({
    code: 'failed-precondition',
  });
});
