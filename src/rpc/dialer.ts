import { waitFor } from '../core/wait.ts';
import type { Address } from './address.ts';
import { Connection } from './connection.ts';
import type { ExpectedServer, TlsIdentity } from './tls.ts';

export interface DialerTls {
  readonly identity: TlsIdentity;
  readonly server: ExpectedServer;
}

export interface DialerOptions {
  readonly address: Address;
  /** Absent: in the clear. */
  readonly tls?: DialerTls;
  /** Longest time that a caller waits for a connection, milliseconds. */
  readonly patienceMs?: number;
}

const PATIENCE_MS = 1000;

/** An attempt that takes longer is given up by the next caller: packets that were lost are sent again ever more rarely. */
const ATTEMPT_MS = 5000;

/** Between attempts to replace a connection that is still good. */
const RENEWAL_PAUSE_MS = 1000;

/** Sees to it that there is a connection to one server, when somebody wants it. */
export class Dialer implements Disposable {
  readonly #address: Address;
  readonly #tls: DialerTls | undefined;
  readonly #patienceMs: number;
  #current: Connection | undefined;
  /** With newer certificates than the current one's. */
  #next: Connection | undefined;

  constructor({ address, tls, patienceMs = PATIENCE_MS }: DialerOptions) {
    this.#address = address;
    this.#tls = tls;
    this.#patienceMs = patienceMs;
  }

  /**
   * The connection that stands, or a new one. Several callers wait for the same attempt.
   * @throws DriverError unavailable when there is none in time, and why; what the signal says when it fires
   */
  async connection(signal: AbortSignal): Promise<Connection> {
    const current = this.#usable() ?? this.#dial();
    this.#current = current;
    if (current.state === 'open') {
      if (current.material !== this.#tls?.identity.value) this.#renew(current);
      return current;
    }
    await waitFor(current.established, { what: 'connecting', signal, ms: this.#patienceMs });
    return current;
  }

  /** Calls under way go on; a later one has a new connection. */
  [Symbol.dispose](): void {
    this.#current?.[Symbol.dispose]();
    this.#next?.[Symbol.dispose]();
    this.#current = undefined;
    this.#next = undefined;
  }

  #usable(): Connection | undefined {
    const current = this.#current;
    if (!current || current.state === 'over') return undefined;
    if (current.state === 'open' || performance.now() - current.openedAtMs < ATTEMPT_MS) return current;
    current[Symbol.dispose]();
    return undefined;
  }

  #dial(): Connection {
    if (!this.#tls) return new Connection(this.#address);
    const { identity, server } = this.#tls;
    return new Connection(this.#address, { material: identity.value, server });
  }

  /**
   * Our certificates are newer than the connection: another one takes over, when it stands. Should it not, because the
   * server has not got its own yet, this one is good for as long as it lasts.
   */
  #renew(current: Connection): void {
    const pauseMs = this.#next?.state === 'over' ? RENEWAL_PAUSE_MS : ATTEMPT_MS;
    if (this.#next && performance.now() - this.#next.openedAtMs < pauseMs) return;
    this.#next?.[Symbol.dispose]();
    const next = this.#dial();
    this.#next = next;
    const takeOver = () => {
      if (this.#next !== next) return;
      this.#next = undefined;
      const [kept, other] = this.#current === current ? [next, current] : [this.#current, next];
      this.#current = kept;
      other[Symbol.dispose]();
    };
    void next.established.then(takeOver, () => undefined);
  }
}
