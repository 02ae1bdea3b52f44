import type { VolumeLimits } from '../core/backend.ts';
import { DriverError, hasCode, messageOf } from '../core/errors.ts';
import type { NodeName } from '../core/ids.ts';
import type { Metrics } from '../core/observe.ts';
import { waitFor } from '../core/wait.ts';
import type { AgentDefinition } from '../gen/cofferdam/agent/v1/Agent.ts';
import { parseAddress } from '../rpc/address.ts';
import type { RpcClient } from '../rpc/client.ts';
import type { Connection } from '../rpc/connection.ts';
import { Dialer } from '../rpc/dialer.ts';
import { statusName } from '../rpc/status.ts';
import type { CallOf, ReplyOf, RpcName } from '../rpc/types.ts';
import { type AgentStreams, API, agentService, checkApi, noSuchApi } from './api.ts';
import { agentOn } from './link-identity.ts';
import type { LinkSecurity } from './link-security.ts';
import { required } from './wire/fields.ts';
import { readLimits } from './wire/pool.ts';

/** What the connections of a controller to its agents have in common. */
export interface LinkParts {
  readonly security: LinkSecurity;
  /** Version of the driver; shown to agents. */
  readonly version: string;
  readonly metrics: Metrics;
  /** Longest wait for a connection, milliseconds; a second unless told. */
  readonly patienceMs?: number;
}

export interface AgentPlace {
  readonly node: NodeName;
  /** `host:port` */
  readonly address: string;
}

export type AgentRpc = RpcName<AgentDefinition>;
export type UnaryRpc = Exclude<AgentRpc, AgentStreams>;

/** A connection whose agent has said who it is. */
interface Session {
  readonly client: RpcClient<AgentDefinition, AgentStreams>;
  readonly limits: VolumeLimits;
}

const HELLO_MS = 3000;

/** Calls to one agent, in the words of the wire: connected, greeted, bounded and measured. */
export class AgentClient implements Disposable {
  readonly #place: AgentPlace;
  readonly #link: LinkParts;
  readonly #dialer: Dialer;
  readonly #service = agentService();
  /** Once for each connection: another one may lead to another release. */
  readonly #sessions = new WeakMap<Connection, Promise<Session>>();
  #underWay = 0;
  #retired = false;

  /** @throws DriverError invalid-argument when the address is none */
  constructor(place: AgentPlace, link: LinkParts) {
    const { identity } = link.security;
    this.#place = place;
    this.#link = link;
    this.#dialer = new Dialer({
      address: parseAddress(`address of node ${place.node}`, `tcp://${place.address}`),
      ...(identity && { tls: { identity, server: agentOn(place.node) } }),
      ...(link.patienceMs !== undefined && { patienceMs: link.patienceMs }),
    });
  }

  async call<K extends UnaryRpc>(
    method: K,
    request: CallOf<AgentDefinition, K>,
    timeoutMs: number,
    signal: AbortSignal,
  ): Promise<ReplyOf<AgentDefinition, K>> {
    return await this.#measured(method, async () => {
      const { client } = await this.#session(signal);
      // Of an RPC that is no stream; TypeScript does not see it through `K`.
      const reply = client[method](request, { timeoutMs, signal }) as Promise<ReplyOf<AgentDefinition, K>>;
      return await this.#located(reply, signal);
    });
  }

  /** @param take is given message after message, at the pace of whoever is slower */
  async read<K extends AgentStreams>(
    method: K,
    request: CallOf<AgentDefinition, K>,
    timeoutMs: number,
    signal: AbortSignal,
    take: (message: ReplyOf<AgentDefinition, K>) => void,
  ): Promise<void> {
    await this.#measured(method, async () => {
      const { client } = await this.#session(signal);
      const messages = client[method](request, { timeoutMs, signal }) as AsyncIterable<ReplyOf<AgentDefinition, K>>;
      const all = async () => {
        for await (const message of messages) take(message);
      };
      await this.#located(all(), signal);
    });
  }

  async limits(signal: AbortSignal): Promise<VolumeLimits> {
    return (await this.#session(signal)).limits;
  }

  /** Ends the connection with the last call under way. A later call has one of its own: a round may not be over. */
  [Symbol.dispose](): void {
    this.#retired = true;
    this.#hangUp();
  }

  #hangUp(): void {
    if (this.#retired && this.#underWay === 0) this.#dialer[Symbol.dispose]();
  }

  async #session(signal: AbortSignal): Promise<Session> {
    const connection = await this.#located(this.#dialer.connection(signal), signal);
    let session = this.#sessions.get(connection);
    if (!session) {
      session = this.#greet(connection);
      this.#sessions.set(connection, session);
      session.catch(() => this.#sessions.delete(connection));
    }
    return await waitFor(session, { what: 'Hello', signal });
  }

  /** Not under the signal of a call: others may wait for the same. */
  async #greet(connection: Connection): Promise<Session> {
    const { node } = this.#place;
    return await this.#measured('Hello', async () => {
      const { signal } = new AbortController();
      const client = connection.client<AgentDefinition, AgentStreams>(this.#service);
      const request = { api: API, node, driverVersion: this.#link.version };
      const reply = await this.#located(client.Hello(request, { timeoutMs: HELLO_MS }), signal).catch(
        (error: unknown) => {
          throw this.#notGreeted(error);
        },
      );
      checkApi(`the agent of node ${node}`, reply.api);
      if (reply.node !== node) throw this.#away(`the agent there is the one of node ${reply.node}`);
      return { client, limits: readLimits('limits', required('limits', reply.limits)) };
    });
  }

  #notGreeted(error: unknown): unknown {
    // Another major version is another service.
    if (hasCode(error, 'unimplemented')) return noSuchApi(`the agent of node ${this.#place.node}`, error);
    // It has taken the connection, and does nothing.
    if (hasCode(error, 'deadline-exceeded')) return this.#away(messageOf(error), error);
    return error;
  }

  /** A failure of the link says which node it was. */
  async #located<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
    try {
      return await work;
    } catch (error) {
      // Cancelled, and by nobody here: the other side has gone.
      const gone = hasCode(error, 'cancelled') && !signal.aborted;
      if (gone || hasCode(error, 'unavailable')) throw this.#away(messageOf(error), error);
      throw error;
    }
  }

  #away(reason: string, cause?: unknown): DriverError {
    const { node, address } = this.#place;
    return new DriverError('unavailable', `node ${node} at ${address}: ${reason}`, { cause });
  }

  async #measured<T>(method: AgentRpc, work: () => Promise<T>): Promise<T> {
    const started = performance.now();
    const report = (code: string) => {
      const seconds = (performance.now() - started) / 1000;
      this.#link.metrics.agentCall({ node: this.#place.node, method, code, seconds });
    };
    this.#underWay++;
    try {
      const result = await work();
      report('OK');
      return result;
    } catch (error) {
      report(statusName(error));
      throw error;
    } finally {
      this.#underWay--;
      this.#hangUp();
    }
  }
}
