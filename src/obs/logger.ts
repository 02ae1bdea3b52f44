import { type DestinationStream, destination, pino } from 'pino';
import { errorsOf } from '../core/errors.ts';
import type { Logger } from '../core/observe.ts';

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export interface LoggerOptions {
  readonly level: LogLevel;
  /**
   * Field names whose values are blanked at the top of a line and up to three levels below it. The second lock on the
   * door: whoever logs a request takes them out already, at any depth.
   */
  readonly secretFields: Iterable<string>;
  /** Where lines go; standard error when absent. */
  readonly output?: DestinationStream;
}

/** JSON lines. */
export function createLogger({ level, secretFields, output = standardError() }: LoggerOptions): Logger {
  const paths = [...secretFields].flatMap((name) => ['', '*.', '*.*.', '*.*.*.'].map((above) => `${above}${name}`));
  const logger = pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: describeError },
      redact: { paths, censor: '[redacted]' },
    },
    output,
  );
  return {
    debug: (fields, message) => logger.debug(fields, message),
    info: (fields, message) => logger.info(fields, message),
    warn: (fields, message) => logger.warn(fields, message),
    error: (fields, message) => logger.error(fields, message),
  };
}

function standardError(): DestinationStream {
  // Not synchronous: a log that nobody reads, or that lies on a filesystem that is frozen, must not stop the event loop.
  const stream = destination({ dest: 2, sync: false });
  const nothing = () => undefined;
  // Its end ends nothing else. What pino does when nobody reads (EPIPE), it must do for a terminal that was closed (EIO)
  // too: there it ends the process, and what waits to be written it would try to write for ever.
  stream.on('error', () =>
    Object.assign(stream, { write: nothing, end: nothing, flushSync: nothing, destroy: nothing }),
  );
  return stream;
}

function describeError(thrown: unknown): unknown {
  const [first, ...cleanUp] = errorsOf(thrown).map((error) => pino.stdSerializers.err(error as Error));
  return cleanUp.length === 0 ? first : { ...first, cleanUp };
}
