import type { PeerCertificate } from 'node:tls';
import type { Peer } from './types.ts';

/** What gRPC knows of the other side of a connection whose certificate was verified. */
export interface AuthenticatedBy {
  readonly sslPeerCertificate?: PeerCertificate;
}

/** One name: `URI:spiffe://x`; a value with characters that could forge a list is in quotes, as JSON. */
const NAME = /([A-Za-z ]+):("(?:[^"\\]|\\.)*"|[^",]*)(?:, |$)/y;

export function peerOf({ sslPeerCertificate: certificate }: AuthenticatedBy): Peer | undefined {
  if (!certificate) return undefined;
  return { uris: urisOf(certificate), validTo: Date.parse(certificate.valid_to) };
}

/** The URIs that a certificate was issued to; none when its list of names can't be read to the end. */
export function urisOf({ subjectaltname = '' }: Pick<PeerCertificate, 'subjectaltname'>): readonly string[] {
  const uris: string[] = [];
  for (let at = 0; at < subjectaltname.length; at = NAME.lastIndex) {
    NAME.lastIndex = at;
    const [, type, value = ''] = NAME.exec(subjectaltname) ?? [];
    if (type === undefined) return [];
    // What had to be quoted is no URI of anybody's.
    if (type === 'URI' && !value.startsWith('"')) uris.push(value);
  }
  return uris;
}
