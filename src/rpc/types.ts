import type { Long, MethodDefinition } from '@grpc/proto-loader';
import type { LockClaim } from '../core/locks.ts';

/**
 * A message to send, stricter than its generated type: 64-bit numbers are decimal strings (`String(bigint)`), because a
 * JavaScript number loses bits above 2^53 without a word.
 */
export type Wire<T> = [string | Long] extends [T]
  ? Exclude<T, number | Long>
  : T extends string | number | boolean | null | undefined | Uint8Array
    ? T
    : T extends readonly (infer E)[]
      ? readonly Wire<E>[]
      : { readonly [K in keyof T]: Wire<T[K]> };

/** The names of the RPCs of a generated `...Definition`. */
export type RpcName<D> = Extract<keyof { [K in keyof D as string extends K ? never : K]: D[K] }, string>;

/** A request as a server receives it: defaults filled in, absent messages null, 64-bit numbers strings. */
export type RequestOf<D, K extends RpcName<D>> =
  D[K] extends MethodDefinition<infer _I, infer _R, infer Received, infer _O> ? Received : never;

/** A response as a server sends it. */
export type ResponseOf<D, K extends RpcName<D>> =
  D[K] extends MethodDefinition<infer _I, infer Sent, infer _Q, infer _O> ? Wire<Sent> : never;

/** A request as a client sends it. */
export type CallOf<D, K extends RpcName<D>> =
  D[K] extends MethodDefinition<infer Sent, infer _R, infer _Q, infer _O> ? Wire<Sent> : never;

/** A response as a client receives it. */
export type ReplyOf<D, K extends RpcName<D>> =
  D[K] extends MethodDefinition<infer _I, infer _R, infer _Q, infer Received> ? Received : never;

/** Who calls, where TLS says so. */
export interface Peer {
  /** The URIs among the names of its certificate. */
  readonly uris: readonly string[];
  /** Milliseconds since the epoch after which the certificate is worth nothing. */
  readonly validTo: number;
}

export interface CallContext {
  /** `csi.v1.Controller` */
  readonly service: string;
  /** `CreateVolume` */
  readonly method: string;
  /** Names this call in the log, and in the message of an internal error. */
  readonly requestId: string;
  /** Fires when the caller has gone, its deadline has passed, or the server stops. Its reason is a DriverError. */
  readonly signal: AbortSignal;
  /** Milliseconds since the epoch; absent when the caller waits for ever. */
  readonly deadline?: number;
  /** Absent without TLS. */
  readonly peer?: Peer;
}

export type Handler<D, K extends RpcName<D>> = (
  request: RequestOf<D, K>,
  context: CallContext,
) => Promise<ResponseOf<D, K>>;

/** Answers in many messages; each is made when the one before it is on its way. */
export type StreamHandler<D, K extends RpcName<D>> = (
  request: RequestOf<D, K>,
  context: CallContext,
) => AsyncIterable<ResponseOf<D, K>>;

/**
 * A service. An RPC that is left out answers UNIMPLEMENTED.
 * @typeParam S the RPCs that answer with a stream: the generated types do not tell
 */
export type Handlers<D, S extends RpcName<D> = never> = {
  readonly [K in RpcName<D>]?: K extends S ? StreamHandler<D, K> : Handler<D, K>;
};

/** The lock keys of a call; `none` for what needs none. An RPC without a row does not compile. */
export type LockTable<D> = {
  readonly [K in RpcName<D>]: 'none' | ((request: RequestOf<D, K>) => LockClaim);
};

/** Wraps every call of a server; calls `next` to go on. */
export type Interceptor = (context: CallContext, request: unknown, next: () => Promise<unknown>) => Promise<unknown>;
