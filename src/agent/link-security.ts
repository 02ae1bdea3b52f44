/** Who may talk over the link between controller and agents: see docs/security.md. */
import { DriverError } from '../core/errors.ts';
import type { Logger } from '../core/observe.ts';

export interface LinkSecurityOptions {
  /** PEM files. All three, or none and `insecure`. */
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  /** No certificates at all: whoever reaches the port can do everything. */
  readonly insecure: boolean;
}

/** The same for every connection of a process, in and out. */
export interface LinkSecurity extends Disposable {
  readonly isInsecure: boolean;
}

/**
 * Reads the certificates, and again when their files change; connections made from then on use the new ones.
 * @throws DriverError invalid-argument when it is neither all three files nor `insecure`, failed-precondition when the
 *   files can't be read or do not belong together
 */
export async function openLinkSecurity(_options: LinkSecurityOptions, _logger: Logger): Promise<LinkSecurity> {
  throw new DriverError('unimplemented', 'the link is not made yet');
}
