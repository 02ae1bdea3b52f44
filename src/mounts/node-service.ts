import type { Bytes } from '../core/bytes.ts';
import type { NodeContext } from './context.ts';
import { expand } from './expand.ts';
import { fullPoolIsExhausted } from './full-pool.ts';
import { publish } from './publish.ts';
import type {
  ExpandRequest,
  NodeOperations,
  PublishRequest,
  StageRequest,
  StatsRequest,
  UnpublishRequest,
  UnstageRequest,
  Usage,
} from './requests.ts';
import { stage } from './stage.ts';
import { stats } from './stats.ts';
import { unpublish } from './unpublish.ts';
import { unstage } from './unstage.ts';

/**
 * What a node does with its volumes. Each operation looks at what is there, does what is missing, and keeps nothing in
 * memory: after a restart it goes on as if there had been none. Callers hold the lock of the volume.
 */
export class NodeService implements NodeOperations {
  readonly #context: NodeContext;

  constructor(context: NodeContext) {
    this.#context = context;
  }

  stage(request: StageRequest, signal: AbortSignal): Promise<void> {
    return fullPoolIsExhausted(this.#context.backend, signal, () => stage(this.#context, request, signal));
  }

  /** Not cut short by its signal: a volume that is half unstaged serves nobody. */
  unstage(request: UnstageRequest, _signal?: AbortSignal): Promise<void> {
    return unstage(this.#context, request);
  }

  publish(request: PublishRequest, signal: AbortSignal): Promise<void> {
    return publish(this.#context, request, signal);
  }

  unpublish(request: UnpublishRequest, _signal?: AbortSignal): Promise<void> {
    return unpublish(this.#context, request);
  }

  stats(request: StatsRequest, _signal?: AbortSignal): Promise<readonly Usage[]> {
    return stats(this.#context, request);
  }

  expand(request: ExpandRequest, signal: AbortSignal): Promise<Bytes> {
    return fullPoolIsExhausted(this.#context.backend, signal, () => expand(this.#context, request, signal));
  }
}
