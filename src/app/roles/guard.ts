/** `cofferdam guard`: the guard as a process of its own role, so that the end of the agent's container spares it. */
import { once } from 'node:events';
import { invalidArgument } from '../../core/errors.ts';
import { armFailpoints } from '../../core/failpoint.ts';
import { GUARD_THREADS } from '../../fence/guard/protocol.ts';
import { GuardServer } from '../../fence/guard/server.ts';
import { requireRoot } from '../../host/privileges.ts';
import { createLogger } from '../../obs/logger.ts';
import { claimSocketPlace } from '../../rpc/unix-socket.ts';
import type { Role } from '../cli.ts';
import { makeRunFolder } from '../run-folder.ts';
import { VERSION } from '../version.ts';

// Here, since it counts only until the first of these threads is used. Whatever the environment says: rounds count on it.
process.env.UV_THREADPOOL_SIZE = String(GUARD_THREADS);

export const role: Role<'guardSocket' | 'logLevel' | 'failpoints'> = {
  description:
    'Freezes and thaws for agents that join at its socket. What an agent has frozen is thawed when its lease ends, when ' +
    'the agent dies, and when the guard is stopped.',
  options: ['guardSocket', 'logLevel', 'failpoints'],
  run: async ({ guardSocket, logLevel, failpoints }, signal) => {
    requireRoot();
    if (guardSocket === undefined) throw invalidArgument('--guard-socket', 'must be given');
    if (failpoints !== undefined) armFailpoints(failpoints);
    const logger = createLogger({ level: logLevel, secretFields: [] });
    await using resources = new AsyncDisposableStack();
    await makeRunFolder(guardSocket);
    const place = await claimSocketPlace(guardSocket);
    resources.defer(() => place.remove());
    resources.use(await GuardServer.listen(place.temporaryPath, logger));
    await place.publish();
    logger.info({ version: VERSION, socket: guardSocket }, 'guarding');
    if (!signal.aborted) await once(signal, 'abort');
    logger.info({}, 'stopping: everything is thawed');
    return 0;
  },
};
