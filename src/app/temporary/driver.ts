/** A driver for the length of a demonstration: `serve` as a child process on a pool in a temporary folder. */
import path from 'node:path';
import { inspectLoopPool } from '../../backends/loop/inspect.ts';
import { TEST_BUILD } from '../../core/build.ts';
import { type Bytes, GiB } from '../../core/bytes.ts';
import type { NodeName } from '../../core/ids.ts';
import { windowOf } from '../../fence/evidence.ts';
import { TemporaryProcess } from './process.ts';
import { openTemporaryRun } from './run.ts';

/** Sparse: what it takes on disk is what is written. */
const DEFAULT_POOL_BYTES: Bytes = 16n * GiB;

/** What `prove` and `demo` work on. */
export interface TemporaryDriver extends AsyncDisposable {
  /** Socket of the controller's services. */
  readonly endpoint: string;
  /** Sockets of the services of each node. */
  readonly nodes: readonly { readonly name: NodeName; readonly endpoint: string }[];
  /** For mounts and files of the run: what a killed run leaves in it is cleaned up with it. */
  readonly workFolder: string;
  /** From the evidence in the pools: how long the fence of a group was on each of its nodes, milliseconds. */
  readonly windowsOf: (groupId: string) => Promise<ReadonlyMap<NodeName, number>>;
}

export async function startTemporaryDriver(poolBytes?: Bytes): Promise<TemporaryDriver> {
  await using resources = new AsyncDisposableStack();
  const { folder, workFolder } = resources.use(await openTemporaryRun());
  const plan = { role: 'serve', folder: path.join(folder, 'driver'), flags: poolFlags(poolBytes) } as const;
  const driver = resources.use(new TemporaryProcess(plan));
  await driver.start();
  const owned = resources.move();
  const { endpoint, dataDir } = driver;
  return {
    endpoint,
    nodes: [{ name: 'this node', endpoint }],
    workFolder,
    windowsOf: (groupId) => windowsOfGroup(groupId, new Map([['this node', dataDir]])),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** Of a process with a pool. Many small volumes come and go, and few bytes are ever written to them. */
export function poolFlags(poolBytes: Bytes = DEFAULT_POOL_BYTES): readonly string[] {
  const flags = ['--overcommit-ratio', '1000', '--pool-size', String(poolBytes)];
  // Without the fence, members are cut one after the other; a pause between them shows what that comes to.
  return TEST_BUILD ? [...flags, '--failpoints', 'round.unfenced-pause=sleep:10'] : flags;
}

/** @param pools the data folders by node */
export async function windowsOfGroup(
  groupId: string,
  pools: ReadonlyMap<NodeName, string>,
): Promise<ReadonlyMap<NodeName, number>> {
  const windows = new Map<NodeName, number>();
  for (const [node, dataDir] of pools) {
    const { cuts } = await inspectLoopPool(dataDir, { overcommitRatio: 1, reservePercent: 0 });
    const record = cuts.find((cut) => cut.group?.id === groupId);
    if (record) windows.set(node, windowOf([record]));
  }
  return windows;
}
