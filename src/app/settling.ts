/** What rounds left behind is settled now and then, also when nobody retries (docs/adr/0005-many-nodes.md). */
import { setTimeout as sleep } from 'node:timers/promises';
import { hasCode } from '../core/errors.ts';
import type { NodeDirectory } from '../core/node-agent.ts';
import type { Logger } from '../core/observe.ts';
import { Resolver, type ResolverObserver } from '../fence/resolver.ts';

/** Longer than a round that is led takes from its first seal to its commit, and short beside the life of a snapshot. */
const PAUSE_MS = 30_000;

/** Goes on until it is disposed of; what is under way then is waited for. */
export function settleNowAndThen(directory: NodeDirectory, logger: Logger): AsyncDisposable {
  const resolver = new Resolver(directory);
  const observer: ResolverObserver = {
    settled: (node, { token, group }, decision) => {
      if (decision !== 'pending') logger.info({ node, round: token, group: group.id, decision }, 'a round was settled');
    },
    failed: (node, reason) => {
      // A node that is away is nothing new; one that can't undo has a fault.
      const level = hasCode(reason, 'unavailable') ? 'debug' : 'warn';
      logger[level]({ node, err: reason }, 'what rounds left on a node can not be settled now');
    },
  };
  const stop = new AbortController();
  const going = (async () => {
    while (await pause(stop.signal)) await resolver.settleAll(observer, stop.signal);
  })();
  return {
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await going;
    },
  };
}

/** @returns false when it shall end */
async function pause(signal: AbortSignal): Promise<boolean> {
  return await sleep(PAUSE_MS, true, { signal }).catch(() => false);
}
