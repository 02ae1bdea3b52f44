/** How the link between controller and agents is kept from others: see docs/security.md. */
import { invalidArgument } from '../core/errors.ts';
import type { Logger } from '../core/observe.ts';
import { openTlsIdentity, type TlsIdentity } from '../rpc/tls.ts';

export interface LinkSecurityOptions {
  /** PEM files. All three, or none and `insecure`. */
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  /** No certificates at all: whoever reaches the port can do everything. */
  readonly insecure: boolean;
  /** How often the files are looked at, milliseconds; every five seconds unless told. */
  readonly lookMs?: number;
}

/** The same for every connection of a process, in and out. */
export interface LinkSecurity extends Disposable {
  /** Absent: there is none, by the wish of whoever runs it. */
  readonly identity?: TlsIdentity;
}

/**
 * Reads the certificates, and again when their files change; connections made from then on use the new ones.
 * @throws DriverError invalid-argument when it is neither all three files nor `insecure`, failed-precondition when the
 *   files can't be read or do not belong together
 */
export async function openLinkSecurity(options: LinkSecurityOptions, logger: Logger): Promise<LinkSecurity> {
  const { ca, cert, key, insecure, lookMs } = options;
  if (insecure) {
    if (ca !== undefined || cert !== undefined || key !== undefined) {
      throw invalidArgument('--insecure', 'certificates are given too; it is one or the other');
    }
    logger.warn({}, 'the link between controller and agents has no protection, as was asked for');
    return { [Symbol.dispose]: () => undefined };
  }
  if (ca === undefined || cert === undefined || key === undefined) {
    const allowed = 'the link needs all three; give --insecure for a link without any protection';
    throw invalidArgument('--tls-ca, --tls-cert, --tls-key', allowed);
  }
  const identity = await openTlsIdentity({ ca, cert, key }, logger, lookMs);
  return { identity, [Symbol.dispose]: () => identity[Symbol.dispose]() };
}
