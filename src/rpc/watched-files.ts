import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { messageOf } from '../core/errors.ts';
import type { Logger } from '../core/observe.ts';

/** How often the files are looked at, milliseconds. */
const LOOK_MS = 5_000;

/**
 * What some files say, kept up to date. Their contents are read again and again: that sees a file written in place, one
 * renamed over another, and the links that Kubernetes turns around a mounted Secret, alike. What is new is taken once two
 * looks have seen the same, so that no file is taken half written or without its companion; what can't be used is logged
 * and not taken.
 */
export class WatchedFiles<T> implements Disposable {
  readonly #paths: readonly string[];
  readonly #parse: (contents: readonly Buffer[]) => T;
  readonly #logger: Logger;
  readonly #listeners = new Set<() => void>();
  readonly #timer: NodeJS.Timeout;
  #value: T;
  /** Digests of what was taken, seen last, and complained of last. */
  #taken: string;
  #seen: string;
  #complaint = '';
  #looking = false;

  /**
   * @param parse makes something of the contents, in the order of the paths
   * @throws whatever reading and `parse` throw
   */
  static async open<T>(
    paths: readonly string[],
    parse: (contents: readonly Buffer[]) => T,
    logger: Logger,
    lookMs: number = LOOK_MS,
  ): Promise<WatchedFiles<T>> {
    const contents = await read(paths);
    return new WatchedFiles(paths, parse, parse(contents), digestOf(contents), logger, lookMs);
  }

  private constructor(
    paths: readonly string[],
    parse: (contents: readonly Buffer[]) => T,
    value: T,
    digest: string,
    logger: Logger,
    lookMs: number,
  ) {
    this.#paths = paths;
    this.#parse = parse;
    this.#value = value;
    this.#taken = digest;
    this.#seen = digest;
    this.#logger = logger;
    this.#timer = setInterval(() => void this.#look(), lookMs).unref();
  }

  get value(): T {
    return this.#value;
  }

  /** Disposing of the result ends it. */
  onChange(listener: () => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => this.#listeners.delete(listener) };
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#listeners.clear();
  }

  async #look(): Promise<void> {
    if (this.#looking) return;
    this.#looking = true;
    try {
      const contents = await read(this.#paths);
      this.#take(contents, digestOf(contents));
    } catch (error) {
      this.#complain(error);
    } finally {
      this.#looking = false;
    }
  }

  #take(contents: readonly Buffer[], digest: string): void {
    const settled = digest === this.#seen;
    this.#seen = digest;
    if (!settled || digest === this.#taken) return;
    this.#value = this.#parse(contents);
    this.#taken = digest;
    this.#complaint = '';
    this.#logger.info({ files: this.#paths }, 'files have changed and were read again');
    for (const listener of this.#listeners) listener();
  }

  /** Once for each thing that is wrong, not at every look. */
  #complain(error: unknown): void {
    const complaint = messageOf(error);
    if (complaint === this.#complaint) return;
    this.#complaint = complaint;
    this.#logger.warn({ files: this.#paths, err: error }, 'files have changed and are of no use: going on as before');
  }
}

function read(paths: readonly string[]): Promise<readonly Buffer[]> {
  return Promise.all(paths.map((path) => readFile(path)));
}

function digestOf(contents: readonly Buffer[]): string {
  const hash = createHash('sha256');
  for (const content of contents) hash.update(`${content.length}:`).update(content);
  return hash.digest('hex');
}
