import { credentials, Client as GrpcClient } from '@grpc/grpc-js';
import { DriverError } from '../core/errors.ts';
import { grpcTarget, parseAddress } from './address.ts';
import { clientOf, type RpcClient } from './client-calls.ts';
import type { LoadedService } from './proto.ts';
import type { RpcName } from './types.ts';

export type { CallOptions, RpcClient } from './client-calls.ts';

/** A connection, shared by the clients made of it. It connects when it is first used, and again after a loss. */
export interface RpcChannel extends Disposable {
  client<D, S extends RpcName<D> = never>(service: LoadedService): RpcClient<D, S>;
  /** Waits until the server can be reached. @throws DriverError unavailable after `timeoutMs` */
  waitForReady(timeoutMs: number): Promise<void>;
  close(): void;
}

/** An answer may be a list of everything. */
const MAX_REPLY_BYTES = 256 * 1024 * 1024;

/**
 * @param endpoint `unix:///path` or `tcp://host:port`
 * @throws DriverError invalid-argument when it is neither
 */
export function connect(endpoint: string): RpcChannel {
  const address = parseAddress('endpoint', endpoint);
  const grpc = new GrpcClient(grpcTarget(address), credentials.createInsecure(), {
    'grpc.max_receive_message_length': MAX_REPLY_BYTES,
    // Retries are the caller's business: a hidden one would hide an error from whoever tests for it.
    'grpc.enable_retries': 0,
    'grpc.initial_reconnect_backoff_ms': 100,
    'grpc.max_reconnect_backoff_ms': 1000,
  });
  const close = () => grpc.close();
  return {
    client: <D, S extends RpcName<D> = never>(service: LoadedService) => clientOf<D, S>(grpc, service),
    waitForReady: (timeoutMs) => waitForReady(grpc, endpoint, timeoutMs),
    close,
    [Symbol.dispose]: close,
  };
}

function waitForReady(grpc: GrpcClient, endpoint: string, timeoutMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    grpc.waitForReady(Date.now() + timeoutMs, (error) => {
      if (error) reject(new DriverError('unavailable', `nobody answers at ${endpoint}`, { cause: error }));
      else resolve();
    });
  });
}
