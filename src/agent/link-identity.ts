/**
 * Who is who on the link: a certificate says it in URIs among its names, and may say several (docs/security.md).
 *
 *   cofferdam://node/<node name>    cofferdam://controller
 */
import { DriverError } from '../core/errors.ts';
import type { NodeName } from '../core/ids.ts';
import type { ExpectedServer } from '../rpc/tls.ts';
import type { Interceptor, Peer } from '../rpc/types.ts';

const OURS = 'cofferdam://';
const CONTROLLER = `${OURS}controller`;

/** Sent in the clear when a connection is opened; so it says nothing. */
const SERVER_NAME = 'agent.cofferdam';

/** What a controller expects of the agent of a node. */
export function agentOn(node: NodeName): ExpectedServer {
  const wanted = `${OURS}node/${node}`;
  return {
    name: SERVER_NAME,
    refuse: (uris) => (uris.includes(wanted) ? undefined : `its certificate is for ${named(uris)}, not for ${wanted}`),
  };
}

/** Lets controllers in and nobody else. */
export const admitControllers: Interceptor = async ({ peer }, _request, next) => {
  if (!peer || ours(peer.uris).length === 0) {
    throw new DriverError('unauthenticated', `the certificate names nobody that is known here, such as ${CONTROLLER}`);
  }
  if (hasExpired(peer)) {
    throw new DriverError('unauthenticated', 'the certificate has expired since the connection was opened');
  }
  if (!peer.uris.includes(CONTROLLER)) {
    throw new DriverError('permission-denied', `the certificate is for ${named(peer.uris)}, not for ${CONTROLLER}`);
  }
  return await next();
};

/** TLS looks when a connection is opened, which may be long ago. */
function hasExpired({ validTo }: Peer): boolean {
  // Not the other way round: of a time that is none, nothing is true.
  return !(Date.now() <= validTo);
}

function ours(uris: readonly string[]): readonly string[] {
  return uris.filter((uri) => uri.startsWith(OURS));
}

function named(uris: readonly string[]): string {
  return ours(uris).join(' and ') || 'nobody that is known here';
}
