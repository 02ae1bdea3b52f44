/** The wire contract of the link: csi-proto/agent.proto. */
import { DriverError } from '../core/errors.ts';
import type { ApiVersion__Output } from '../gen/cofferdam/agent/v1/ApiVersion.ts';
import { type LoadedService, loadProto } from '../rpc/proto.ts';

export const AGENT_SERVICE = 'cofferdam.agent.v1.Agent';

/** Those that answer with a stream. */
export type AgentStreams = 'ListVolumes' | 'ListUnhealthy' | 'ListSnapshots' | 'SealedParts';

/** Raise `minor` when something is added to agent.proto; nothing else may ever be done to it. */
export const API = { major: 1, minor: 2 } as const;

let loaded: LoadedService | undefined;

/** Once in a process: every connection needs it. */
export function agentService(): LoadedService {
  loaded ??= loadProto('csi-proto/agent.proto').service(AGENT_SERVICE);
  return loaded;
}

/**
 * @param who the other side
 * @throws DriverError failed-precondition when its major version is not ours
 */
export function checkApi(who: string, api: ApiVersion__Output | null): void {
  if (api?.major !== API.major) throw noSuchApi(who, undefined, api ? `${api.major}.${api.minor}` : undefined);
}

/** @param theirs the version of the other side, where it says one */
export function noSuchApi(who: string, cause?: unknown, theirs = 'another version'): DriverError {
  const reason = `${who} speaks ${theirs} of the link's protocol, this is ${API.major}.${API.minor}: run the same release`;
  return new DriverError('failed-precondition', reason, { cause });
}
