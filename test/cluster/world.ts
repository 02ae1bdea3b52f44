/** A cluster with a volume on every node that is mounted and written to all the time: what faults happen to. */
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { inspectLoopPool } from '../../src/backends/loop/inspect.ts';
import { hasCode } from '../../src/core/errors.ts';
import { TOPOLOGY_KEY } from '../../src/core/names.ts';
import { Cluster, type TestClusterOptions } from '../support/cluster.ts';
import { type Csi, mountCapability } from '../support/csi.ts';
import { type PoolFootprint, poolFootprint } from '../support/footprint.ts';
import { eventually, thawIfFrozen } from '../support/scratch.ts';
import { processesLoggingTo } from '../support/serve.ts';
import { Writers } from '../support/stalls.ts';

const VOLUME_BYTES = 32 * 1024 ** 2;
/** As long as a sidecar goes on trying, and more: the machine may be slow. */
const RETRY_MS = 120_000;
const RETRY_PAUSE_MS = 200;

export class ClusterWorld implements AsyncDisposable {
  readonly cluster: Cluster;
  /** One on each node, in the order of the nodes. */
  readonly volumeIds: readonly string[];
  readonly writers: Writers;

  private constructor(cluster: Cluster, volumeIds: readonly string[], writers: Writers) {
    this.cluster = cluster;
    this.volumeIds = volumeIds;
    this.writers = writers;
  }

  static async open(options: TestClusterOptions): Promise<ClusterWorld> {
    await using resources = new AsyncDisposableStack();
    const cluster = resources.use(await Cluster.start(options));
    const volumeIds: string[] = [];
    const folders: string[] = [];
    for (const node of cluster.nodes) {
      const volumeId = await createOn(cluster.csi(), node);
      volumeIds.push(volumeId);
      folders.push(await publish(cluster.csi(node), path.join(cluster.running.workFolder, node), volumeId));
    }
    const writers = await Writers.start(folders, cluster.running.folder);
    resources.move();
    return new ClusterWorld(cluster, volumeIds, writers);
  }

  group(name: string, csi: Csi = this.cluster.csi()) {
    return csi.group.CreateVolumeGroupSnapshot({ name, sourceVolumeIds: this.volumeIds });
  }

  /** As a sidecar calls: again, as long as the answer is not final. */
  async insist<T>(call: () => Promise<T>): Promise<T> {
    for (const end = performance.now() + RETRY_MS; ; ) {
      try {
        return await call();
      } catch (error) {
        const passing = (['aborted', 'unavailable', 'deadline-exceeded'] as const).some((code) => hasCode(error, code));
        if (!passing || performance.now() > end) throw error;
        await sleep(RETRY_PAUSE_MS);
      }
    }
  }

  /** The nodes whose pools say that they have committed the group of this name. */
  async committedOn(name: string): Promise<readonly string[]> {
    const pools = await Promise.all(
      this.cluster.nodes.map((node) => inspectLoopPool(this.#dataOf(node), { overcommitRatio: 1, reservePercent: 0 })),
    );
    return this.cluster.nodes.filter((_, i) => pools[i]?.cuts.some(({ group }) => group?.name === name));
  }

  /** Of every node's pool, and the processes there that nobody looks after. */
  async footprint(): Promise<readonly (PoolFootprint & { readonly orphans: number })[]> {
    return await Promise.all(
      this.cluster.nodes.map(async (node) => {
        const agent = this.cluster.pidOf(node);
        const processes = await processesLoggingTo(this.cluster.logOf(node));
        const orphans = processes.filter(({ pid, parent }) => pid !== agent && parent !== agent).length;
        return { ...(await poolFootprint(this.#dataOf(node))), orphans };
      }),
    );
  }

  /** The trash is emptied and guards end a little after the call that asked for it. */
  async settled(expected: Awaited<ReturnType<ClusterWorld['footprint']>>): Promise<void> {
    let now = expected;
    try {
      await eventually('nothing is left', async () => {
        now = await this.footprint();
        return JSON.stringify(now) === JSON.stringify(expected);
      });
    } catch (cause) {
      throw new Error(`left behind, or lost: ${JSON.stringify(now)} instead of ${JSON.stringify(expected)}`, { cause });
    }
  }

  /** The guard of a node's agent, when there is one now. */
  async guardOf(node: string): Promise<number | undefined> {
    const agent = this.cluster.pidOf(node);
    return (await processesLoggingTo(this.cluster.logOf(node))).find(({ parent }) => parent === agent)?.pid;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await using cleaning = new AsyncDisposableStack();
    cleaning.use(this.cluster);
    cleaning.use(this.writers);
    for (const node of this.cluster.nodes) {
      this.cluster.arm(node, '');
      this.cluster.proceed(node);
      // A writer that is blocked ends only when it is thawed, and an agent that died thaws nothing.
      await thawIfFrozen(path.join(this.cluster.running.workFolder, node, 'target')).catch(() => false);
    }
  }

  #dataOf(node: string): string {
    return this.cluster.member(node).process.dataDir;
  }
}

/** A volume that can only be on this node. */
export async function createOn(csi: Csi, node: string, name = `on-${node}`): Promise<string> {
  const { volume } = await csi.controller.CreateVolume({
    name,
    capacityRange: { requiredBytes: String(VOLUME_BYTES) },
    volumeCapabilities: [mountCapability()],
    accessibilityRequirements: { requisite: [{ segments: { [TOPOLOGY_KEY]: node } }] },
  });
  return volume?.volumeId ?? '';
}

/** Stages and publishes it as the kubelet would, below this folder. @returns where it is mounted */
export async function publish({ node }: Csi, folder: string, volumeId: string): Promise<string> {
  const [stagingTargetPath, targetPath] = [path.join(folder, 'staged'), path.join(folder, 'target')];
  await mkdir(stagingTargetPath, { recursive: true });
  const volumeCapability = mountCapability();
  await node.NodeStageVolume({ volumeId, stagingTargetPath, volumeCapability });
  await node.NodePublishVolume({ volumeId, stagingTargetPath, targetPath, volumeCapability });
  return targetPath;
}
