import type { VolumeLimits } from '../core/backend.ts';
import { type Bytes, maxBytes, minBytes } from '../core/bytes.ts';
import { DriverError, hasCode, invalidArgument, messageOf, notFound } from '../core/errors.ts';
import type { VolumeHealth } from '../core/health.ts';
import { type NodeName, type VolumeId, volumeId } from '../core/ids.ts';
import type { NodeAgent, NodeDirectory } from '../core/node-agent.ts';
import {
  type Claim,
  type Content,
  type ContentSource,
  type FsType,
  MIN_FILESYSTEM_BYTES,
  type Volume,
} from '../core/volume.ts';
import { type Fetch, listPages } from './list-pages.ts';
import { agentOf, askNodes, needAnswerOf } from './nodes.ts';
import { allowedOf, candidates, isAllowedOn, type Pin } from './placement.ts';
import type {
  AvailableCapacity,
  CapacityRange,
  CreateVolumeRequest,
  ListRequest,
  ListResult,
  Placement,
} from './requests.ts';
import { confirmSameVolume } from './same-volume.ts';
import { sizeAfterExpansion, sizeOfNewVolume } from './sizes.ts';
import { MAX_UNHEALTHY, unhealthyOn } from './unhealthy.ts';
import { VolumeClaim } from './volume-claim.ts';

/** What a new volume is copied from, as its node sees it. */
interface Source extends Pin {
  readonly sizeBytes: Bytes;
  readonly content: Content;
}

/**
 * The controller's policy for volumes. It keeps nothing: every answer is read from the nodes.
 *
 * Callers hold the locks of the ids and names they pass (`csi/lock-keys.ts`).
 */
export class VolumeService {
  readonly #directory: NodeDirectory;

  constructor(directory: NodeDirectory) {
    this.#directory = directory;
  }

  /**
   * Find by name; the same: answer it; different: `already-exists`; none: make it on the best node that can.
   * @throws DriverError already-exists, not-found (source), out-of-range (size), resource-exhausted (no node, or no room),
   *   invalid-argument (source does not fit), unavailable, aborted (another call, of any controller, is creating it)
   */
  async create(request: CreateVolumeRequest, signal: AbortSignal): Promise<Volume> {
    const { placement, name } = request;
    const somewhere = this.#nodesOf(request);
    const claim = somewhere.length > 1 ? new VolumeClaim(this.#directory, name) : undefined;
    const { found, away } = await askNodes(this.#directory, somewhere, async (agent) =>
      claim ? await claim.lookOn(agent, signal) : await agent.getVolume(volumeId(agent.node, name), signal),
    );
    if (found[0]) return confirmSameVolume(found[0], request);

    const source = request.source && (await this.#findSource(request.source, request, signal));
    const nodes = candidates(placement, this.#directory, source);
    // Whether a candidate that is away has the volume already is not known: making a second one elsewhere would leak it.
    needAnswerOf(away, nodes);
    await claim?.confirm(nodes, signal);
    const order = await this.#bestFirst(nodes, placement, signal);
    return await this.#createOnFirst(order, request, source?.sizeBytes, claim?.token, signal);
  }

  /** Of an id that is unknown or not ours: succeeds. @throws DriverError failed-precondition while it is in use */
  async delete(id: VolumeId, signal: AbortSignal): Promise<void> {
    await agentOf(this.#directory, 'volume', id)?.deleteVolume(id, signal);
  }

  /** @throws DriverError not-found */
  async get(id: VolumeId, signal: AbortSignal): Promise<Volume> {
    const volume = await agentOf(this.#directory, 'volume', id)?.getVolume(id, signal);
    if (!volume) throw notFound('volume', id);
    return volume;
  }

  /** @throws DriverError aborted for an invalid token */
  list(request: ListRequest, signal: AbortSignal): Promise<ListResult<Volume>> {
    const fetch: Fetch<Volume> = (agent, page, during) => agent.listVolumes(page, during);
    return listPages(this.#directory, this.#directory.nodes(), 'volume', request, fetch, signal);
  }

  /** What is wrong with the volume, as far as its node can tell. @throws DriverError not-found, unavailable */
  async health(id: VolumeId, signal: AbortSignal): Promise<VolumeHealth> {
    const agent = agentOf(this.#directory, 'volume', id);
    if (!(agent && (await agent.getVolume(id, signal)))) throw notFound('volume', id);
    const { items } = await unhealthyOn(agent, { volumeId: id }, {}, signal);
    return items[0] ?? { id, conditions: [] };
  }

  /** Volumes that something is wrong with. @throws DriverError aborted for an invalid token */
  listUnhealthy(request: ListRequest, signal: AbortSignal): Promise<ListResult<VolumeHealth>> {
    const maxEntries = Math.min(request.maxEntries || MAX_UNHEALTHY, MAX_UNHEALTHY);
    const fetch: Fetch<VolumeHealth> = (agent, page, during) => unhealthyOn(agent, {}, page, during);
    const nodes = this.#directory.nodes();
    return listPages(this.#directory, nodes, 'volume', { ...request, maxEntries }, fetch, signal);
  }

  /** @throws DriverError not-found, out-of-range, resource-exhausted */
  async expand(id: VolumeId, range: CapacityRange, signal: AbortSignal): Promise<Volume> {
    const agent = agentOf(this.#directory, 'volume', id);
    const volume = await agent?.getVolume(id, signal);
    if (!agent || !volume) throw notFound('volume', id);
    const size = sizeAfterExpansion(range, await agent.limits(signal), volume.capacityBytes);
    // Also when it has that size already: an earlier call may have died between the image and its device.
    return await agent.expandVolume(id, size, signal);
  }

  /**
   * @param node only this node's pool; all when absent. A node that there is not has no room.
   * @param fsType what the volume is to hold; one that needs more than the pool has leaves no room
   * @throws DriverError unavailable when the node is away; without one, those that are away count as full
   */
  async capacity(node: NodeName | undefined, signal: AbortSignal, fsType?: FsType): Promise<AvailableCapacity> {
    if (node !== undefined) {
      if (!this.#directory.has(node)) return NO_CAPACITY;
      return await capacityOf(this.#directory.agent(node), fsType, signal);
    }
    const { found } = await askNodes(this.#directory, this.#directory.nodes(), (agent) =>
      capacityOf(agent, fsType, signal),
    );
    const [first, ...others] = found;
    if (!first) return NO_CAPACITY;
    return others.reduce(
      (sum, next) => ({
        availableBytes: sum.availableBytes + next.availableBytes,
        maxVolumeBytes: maxBytes(sum.maxVolumeBytes, next.maxVolumeBytes),
        minVolumeBytes: minBytes(sum.minVolumeBytes, next.minVolumeBytes),
      }),
      first,
    );
  }

  /** Where the volume may be, if an earlier call made it. */
  #nodesOf({ placement, source }: CreateVolumeRequest): readonly NodeName[] {
    const home = source && agentOf(this.#directory, source.kind, source.id)?.node;
    if (home === undefined) return allowedOf(placement, this.#directory);
    return isAllowedOn(placement, home) ? [home] : [];
  }

  /** What is preferred keeps its order; of the rest, who has most room comes first. */
  async #bestFirst(
    nodes: readonly [NodeName, ...NodeName[]],
    { preferred }: Placement,
    signal: AbortSignal,
  ): Promise<readonly NodeName[]> {
    const first = new Set(preferred);
    const rest = nodes.filter((node) => !first.has(node));
    if (rest.length < 2) return nodes;
    const { found } = await askNodes(this.#directory, rest, async (agent) => ({
      node: agent.node,
      availableBytes: (await agent.capacity(signal)).availableBytes,
    }));
    const roomOf = new Map(found.map(({ node, availableBytes }) => [node, availableBytes]));
    const room = (node: NodeName) => roomOf.get(node) ?? -1n;
    const byRoom = rest.toSorted((a, b) => (room(a) === room(b) ? 0 : room(a) > room(b) ? -1 : 1));
    return [...nodes.filter((node) => first.has(node)), ...byRoom];
  }

  async #createOnFirst(
    nodes: readonly NodeName[],
    request: CreateVolumeRequest,
    sourceBytes: Bytes | undefined,
    claim: Claim | undefined,
    signal: AbortSignal,
  ): Promise<Volume> {
    const refusals: DriverError[] = [];
    for (const node of nodes) {
      const agent = this.#directory.agent(node);
      const { name, range, source, parameters, fsType, accessType } = request;
      const capacityBytes = sizeOfNewVolume(range, limitsFor(await agent.limits(signal), fsType), sourceBytes);
      const optional = { ...(source && { source }), ...(accessType && { accessType }) };
      const spec = { id: volumeId(node, name), name, capacityBytes, ...optional, parameters };
      try {
        return await agent.createVolume({ ...spec, ...(claim !== undefined && { claim }) }, signal);
      } catch (error) {
        // Only this says that the node made nothing and never will; after any other error the volume may be there.
        if (!(error instanceof DriverError && hasCode(error, 'resource-exhausted'))) throw error;
        refusals.push(error);
      }
    }
    const [only, ...others] = refusals;
    if (only && others.length === 0) throw only;
    const reasons = refusals.map((error, i) => `${nodes[i]}: ${messageOf(error)}`).join('; ');
    throw new DriverError('resource-exhausted', `no node has room for the volume: ${reasons}`, { cause: refusals });
  }

  async #findSource(source: ContentSource, request: CreateVolumeRequest, signal: AbortSignal): Promise<Source> {
    const agent = agentOf(this.#directory, source.kind, source.id);
    const what = `${source.kind} ${JSON.stringify(source.id)}`;
    const found =
      source.kind === 'snapshot'
        ? await agent?.getSnapshot(source.id, signal)
        : await agent?.getVolume(source.id, signal);
    if (!agent || !found) throw notFound(source.kind, source.id);
    const { content } = found;
    if (request.fsType && 'fsType' in content && content.fsType !== request.fsType) {
      throw invalidArgument(
        'volume_content_source',
        `${what} holds ${content.fsType}, and the volume is to be mounted as ${request.fsType}`,
      );
    }
    return { node: agent.node, what, content, sizeBytes: 'sizeBytes' in found ? found.sizeBytes : found.capacityBytes };
  }
}

/** A volume is at least as large as the filesystem needs that will be made on it. */
function limitsFor(limits: VolumeLimits, fsType: FsType | undefined): VolumeLimits {
  const { sizeGranularity, minVolumeBytes, maxVolumeBytes } = limits;
  const least = fsType === undefined ? minVolumeBytes : maxBytes(minVolumeBytes, MIN_FILESYSTEM_BYTES[fsType]);
  return { sizeGranularity, minVolumeBytes: least, maxVolumeBytes };
}

const NO_CAPACITY: AvailableCapacity = { availableBytes: 0n, maxVolumeBytes: 0n, minVolumeBytes: 0n };

async function capacityOf(
  agent: NodeAgent,
  fsType: FsType | undefined,
  signal: AbortSignal,
): Promise<AvailableCapacity> {
  const { availableBytes } = await agent.capacity(signal);
  const { sizeGranularity, minVolumeBytes, maxVolumeBytes } = limitsFor(await agent.limits(signal), fsType);
  const whole = availableBytes - (availableBytes % sizeGranularity);
  // Too little for the smallest volume is nothing.
  const usable = whole < minVolumeBytes ? 0n : whole;
  return { availableBytes: usable, maxVolumeBytes: minBytes(usable, maxVolumeBytes), minVolumeBytes };
}
