/** The link between controllers and agents, composed: the same options on both sides. */

import type { LinkParts } from '../agent/agent-client.ts';
import { openLinkSecurity } from '../agent/link-security.ts';
import type { OptionValues } from './options.ts';
import type { Surroundings } from './service.ts';
import { VERSION } from './version.ts';

export const LINK_OPTIONS = ['tlsCa', 'tlsCert', 'tlsKey', 'insecure'] as const;

/** @throws DriverError invalid-argument when it is neither certificates nor their absence on purpose */
export async function openLink(
  { tlsCa: ca, tlsCert: cert, tlsKey: key, insecure }: OptionValues<(typeof LINK_OPTIONS)[number]>,
  { logger, metrics, resources }: Surroundings,
): Promise<LinkParts> {
  const files = {
    ...(ca !== undefined && { ca }),
    ...(cert !== undefined && { cert }),
    ...(key !== undefined && { key }),
  };
  const security = resources.use(await openLinkSecurity({ ...files, insecure }, logger));
  return { security, version: VERSION, metrics };
}
