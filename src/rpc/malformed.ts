import { invalidArgument } from '../core/errors.ts';
import type { LoadedService } from './proto.ts';

/** Stands for a request that could not be read. */
export class Malformed {
  readonly #cause: unknown;

  constructor(cause: unknown) {
    this.#cause = cause;
  }

  /** @throws DriverError invalid-argument */
  refuse(): never {
    throw Object.assign(invalidArgument('request', 'is not a message of this RPC'), { cause: this.#cause });
  }
}

/** gRPC answers INTERNAL to bytes that are no message: our fault. It is the caller's, so the handler gets to say so. */
export function readingAnything(service: LoadedService): LoadedService {
  const methods = Object.entries(service).map(([name, definition]) => [
    name,
    { ...definition, requestDeserialize: (bytes: Buffer) => readOr(definition.requestDeserialize, bytes) },
  ]);
  return Object.fromEntries(methods) as LoadedService;
}

function readOr(read: LoadedService[string]['requestDeserialize'], bytes: Buffer): object {
  try {
    return read(bytes);
  } catch (cause) {
    return new Malformed(cause);
  }
}
