import { DriverError, errorsOf } from '../core/errors.ts';
import type { KeyedLocks, LockClaim } from '../core/locks.ts';
import type { Logger, Metrics } from '../core/observe.ts';
import { redact } from './redact.ts';
import { statusName } from './status.ts';
import type { Interceptor } from './types.ts';

export interface LogCallsOptions {
  readonly logger: Logger;
  /** Field names whose values are never logged. */
  readonly secretFields: ReadonlySet<string>;
  /** RPCs that are asked for all the time: logged at debug unless they fail. */
  readonly quietMethods: ReadonlySet<string>;
}

/** One line for each call, when it ends. */
export function logCalls({ logger, secretFields, quietMethods }: LogCallsOptions): Interceptor {
  return async (context, request, next) => {
    const start = performance.now();
    const fields = (code: string) => ({
      rpc: context.method,
      requestId: context.requestId,
      code,
      ms: Math.round((performance.now() - start) * 10) / 10,
      request: redact(request, secretFields),
    });
    try {
      const response = await next();
      if (quietMethods.has(context.method)) logger.debug(fields('OK'), 'rpc');
      else logger.info(fields('OK'), 'rpc');
      return response;
    } catch (error) {
      const [first, ...cleanUp] = errorsOf(error);
      const ours = first instanceof DriverError && first.code !== 'internal' && first.code !== 'data-loss';
      // What the caller did wrong needs no stack; what we did wrong does, and a clean-up that failed is ours.
      if (ours && cleanUp.length === 0) {
        logger.warn({ ...fields(statusName(error)), reason: first.message }, 'rpc failed');
      } else logger.error({ ...fields(statusName(error)), err: error }, 'rpc failed');
      throw error;
    }
  };
}

/** One observation for each call. */
export function measureCalls(metrics: Metrics): Interceptor {
  return async ({ service, method }, _request, next) => {
    const start = performance.now();
    const observe = (code: string) =>
      metrics.rpc({ service, method, code, seconds: (performance.now() - start) / 1000 });
    try {
      const response = await next();
      observe('OK');
      return response;
    } catch (error) {
      observe(statusName(error));
      throw error;
    }
  };
}

/** What a request locks; `undefined` for an RPC that the table does not know. */
export type LockClaims = (service: string, method: string, request: unknown) => LockClaim | undefined;

/**
 * Holds the keys of a call from before its handler starts until it ends, caller or no caller.
 * @param locksOf where the calls of a service are locked
 */
export function lockCalls(locksOf: (service: string) => KeyedLocks, claimOf: LockClaims): Interceptor {
  return async ({ service, method, requestId }, request, next) => {
    const claim = claimOf(service, method, request);
    if (!claim) throw new DriverError('internal', `${service}/${method} has no row in the table of locks`);
    if (claim.exclusive.length === 0 && !claim.shared?.length) return await next();
    using _held = locksOf(service).acquire(`${method} (request ${requestId})`, claim);
    return await next();
  };
}
