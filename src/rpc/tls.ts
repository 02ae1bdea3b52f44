/** TLS with certificates on both sides, 1.3 alone. */
import { X509Certificate } from 'node:crypto';
import { createSecureContext, type PeerCertificate, type SecureContext, type SecureContextOptions } from 'node:tls';
import { ChannelCredentials, ServerCredentials } from '@grpc/grpc-js';
import { DriverError, messageOf } from '../core/errors.ts';
import type { Logger } from '../core/observe.ts';
import { urisOf } from './peer.ts';
import { WatchedFiles } from './watched-files.ts';

/** Paths of PEM files. */
export interface TlsFiles {
  /** Whose certificates are believed. */
  readonly ca: string;
  /** Our own, with what lies between it and the CA. */
  readonly cert: string;
  readonly key: string;
}

/** Same in every connection until a file changes; then another object. */
export interface TlsMaterial {
  readonly options: SecureContextOptions;
  readonly context: SecureContext;
}

/** Certificates as they are now: `value` is what a new connection is to use. */
export type TlsIdentity = WatchedFiles<TlsMaterial>;

/** How a client knows its server. */
export interface ExpectedServer {
  /** Sent along when the connection is opened (SNI). */
  readonly name: string;
  /** @param uris of the server's certificate; @returns what is wrong with them */
  readonly refuse: (uris: readonly string[]) => string | undefined;
}

/** Milliseconds that a client may take over its handshake. */
const HANDSHAKE_MS = 10_000;

/**
 * @param lookMs how often the files are looked at
 * @throws DriverError failed-precondition when the files can't be read, or do not belong together
 */
export async function openTlsIdentity(files: TlsFiles, logger: Logger, lookMs?: number): Promise<TlsIdentity> {
  const { ca, cert, key } = files;
  try {
    return await WatchedFiles.open([ca, cert, key], materialOf, logger, lookMs);
  } catch (cause) {
    const reason = `the certificates ${ca}, ${cert} and ${key} can't be used: ${messageOf(cause)}`;
    throw new DriverError('failed-precondition', reason, { cause });
  }
}

function materialOf([ca, cert, key]: readonly Buffer[]): TlsMaterial {
  if (!ca || !cert || !key) throw new DriverError('internal', 'three files were asked for');
  // A CA without a certificate in it would be taken without a word.
  for (const pem of [ca, cert]) new X509Certificate(pem);
  const options = { ca, cert, key, minVersion: 'TLSv1.3' } as const;
  return { options, context: createSecureContext(options) };
}

/** Credentials of a server that takes only clients with a certificate. Disposing of them ends the reloading. */
export class MutualTlsServerCredentials extends ServerCredentials implements Disposable {
  readonly #watch: Disposable;

  constructor(identity: TlsIdentity) {
    // gRPC's own do not set the version, and would lose it with the first reload.
    super(
      { requestCert: true, rejectUnauthorized: true, handshakeTimeout: HANDSHAKE_MS, minVersion: 'TLSv1.3' },
      identity.value.options,
    );
    this.#watch = identity.onChange(() => this.updateSecureContextOptions(identity.value.options));
  }

  override _equals(other: ServerCredentials): boolean {
    return other === this;
  }

  [Symbol.dispose](): void {
    this.#watch[Symbol.dispose]();
  }
}

/** Credentials for one outgoing connection. */
export function clientCredentials({ context }: TlsMaterial, { refuse }: ExpectedServer): ChannelCredentials {
  return ChannelCredentials.createFromSecureContext(context, {
    rejectUnauthorized: true,
    // Instead of the host's name, which says nothing: see docs/security.md.
    checkServerIdentity: (_host: string, certificate: PeerCertificate) => {
      const reason = refuse(urisOf(certificate));
      return reason === undefined ? undefined : new DriverError('unauthenticated', reason);
    },
  });
}
