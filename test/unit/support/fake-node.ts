import { posix } from 'node:path';
import { GiB } from '../../../src/core/bytes.ts';
import { notFound } from '../../../src/core/errors.ts';
import type {
  ExpandRequest,
  NodeOperations,
  PublishRequest,
  StageRequest,
  StatsRequest,
  UnpublishRequest,
  UnstageRequest,
  Usage,
} from '../../../src/mounts/requests.ts';
import type { FakeAgent } from './fake-agent.ts';

/** Takes every request that keeps the promises of mounts/requests.ts, and fails loudly on any other. */
export class FakeNode implements NodeOperations {
  readonly #agent: FakeAgent;
  readonly requests: object[] = [];
  /** Runs inside every call. */
  before: () => Promise<void> = async () => undefined;

  constructor(agent: FakeAgent) {
    this.#agent = agent;
  }

  stage(request: StageRequest): Promise<void> {
    return this.#take(request, request.stagingPath);
  }

  unstage(request: UnstageRequest): Promise<void> {
    return this.#take(request, request.stagingPath);
  }

  publish(request: PublishRequest): Promise<void> {
    return this.#take(request, request.stagingPath, request.targetPath);
  }

  unpublish(request: UnpublishRequest): Promise<void> {
    return this.#take(request, request.targetPath);
  }

  async stats(request: StatsRequest): Promise<readonly Usage[]> {
    await this.#take(request, request.volumePath);
    return [
      { unit: 'bytes', total: 2n ** 63n - 1n, used: 2n ** 53n + 1n, available: 0n },
      { unit: 'inodes', total: 3n, used: 2n, available: 1n },
    ];
  }

  async expand(request: ExpandRequest): Promise<bigint> {
    await this.#take(request, request.volumePath);
    return GiB;
  }

  async #take(request: { readonly volumeId: string }, ...paths: readonly string[]): Promise<void> {
    await this.before();
    for (const path of paths) {
      const normal = path.startsWith('/') && path.length > 1 && posix.normalize(path) === path && !path.endsWith('/');
      if (!normal || path.includes('\0') || path.split('/').includes('..') || Buffer.byteLength(path) > 4096) {
        throw new Error(`a path got through: ${path}`);
      }
    }
    if (!this.#agent.volumes.has(request.volumeId)) throw notFound('volume', request.volumeId);
    this.requests.push(request);
  }
}
