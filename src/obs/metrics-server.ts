import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { DriverError, invalidArgument, messageOf } from '../core/errors.ts';
import type { PrometheusMetrics } from './metrics.ts';

export interface MetricsServerOptions {
  /** `127.0.0.1:9808`, `[::1]:9808`; port 0 takes a free one. */
  readonly address: string;
  readonly metrics: PrometheusMetrics;
  readonly ready: () => boolean;
  /** Called before each scrape, for values that are looked up and not counted. What it throws is ignored. */
  readonly refresh?: () => Promise<void>;
}

export interface MetricsServer extends AsyncDisposable {
  readonly port: number;
}

/**
 * Serves `/metrics` and `/healthz` (503 until the driver is ready).
 * @throws DriverError invalid-argument for an address that is none, failed-precondition when it can't be listened at
 */
export async function serveMetrics(options: MetricsServerOptions): Promise<MetricsServer> {
  const { host, port } = parseHostPort(options.address);
  const server = createServer((request, response) => {
    answer(request, response, options).catch(() => reply(response, 500, 'text/plain', 'failed\n'));
  });
  server.listen(port, host);
  try {
    await once(server, 'listening');
  } catch (error) {
    throw new DriverError('failed-precondition', `can't serve metrics at ${options.address}: ${messageOf(error)}`, {
      cause: error,
    });
  }
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: async () => {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  options: MetricsServerOptions,
): Promise<void> {
  if (request.method !== 'GET' && request.method !== 'HEAD') return reply(response, 405, 'text/plain', 'GET only\n');
  switch (request.url?.split('?', 1)[0]) {
    case '/metrics': {
      await options.refresh?.().catch(() => undefined);
      const { metrics } = options;
      return reply(response, 200, metrics.contentType, await metrics.text());
    }
    case '/healthz':
      return options.ready()
        ? reply(response, 200, 'text/plain', 'ok\n')
        : reply(response, 503, 'text/plain', 'starting\n');
    default:
      return reply(response, 404, 'text/plain', 'there are /metrics and /healthz\n');
  }
}

function reply(response: ServerResponse, code: number, contentType: string, body: string): void {
  response.writeHead(code, { 'content-type': contentType }).end(body);
}

function parseHostPort(address: string): { readonly host: string; readonly port: number } {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9.-]*)):(\d{1,5})$/.exec(address);
  const port = Number(match?.[3]);
  if (!match || port > 65535) {
    throw invalidArgument('--metrics-address', `${JSON.stringify(address)} is not host:port, such as 127.0.0.1:9808`);
  }
  return { host: match[1] ?? (match[2] || '0.0.0.0'), port };
}
