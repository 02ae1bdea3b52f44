/** A node's storage as the driver composes it, with what a test wants to look at. */
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { SingleNodeDirectory } from '../../src/agent/local-agent.ts';
import { openStorage } from '../../src/app/driver.ts';
import type { OptionValues } from '../../src/app/options.ts';
import type { AttachedDevice, Backend } from '../../src/core/backend.ts';
import { type Bytes, GiB, MiB } from '../../src/core/bytes.ts';
import {
  groupId,
  homeOf,
  memberSnapshotId,
  type NodeName,
  nodeOf,
  snapshotId,
  type VolumeId,
  volumeId,
} from '../../src/core/ids.ts';
import type { NodeAgent, NodeDirectory } from '../../src/core/node-agent.ts';
import type { LogFields, Logger, Metrics } from '../../src/core/observe.ts';
import { newToken, type RoundPlan } from '../../src/core/round.ts';
import type { ContentSource, FsType, Volume } from '../../src/core/volume.ts';
import { RoundCoordinator } from '../../src/fence/coordinator.ts';
import type { RoundRequest } from '../../src/fence/led-round.ts';
import { makeFilesystem } from '../../src/host/filesystem.ts';
import type { Scratch } from './scratch.ts';

export type RigOptions = Partial<
  OptionValues<
    | 'nodeName'
    | 'backend'
    | 'guardSocket'
    | 'volumeGroup'
    | 'thinPool'
    | 'leaseMs'
    | 'fenceBudgetMs'
    | 'expediteRcu'
    | 'overcommitRatio'
    | 'poolReserve'
  >
> & {
  /** 2 GiB unless told. `undefined`: what the driver does without it, a plain folder on a filesystem that can reflink. */
  readonly poolSize?: Bytes | undefined;
};

export const NODE = 'node-a';
export const LEASE_MS = 4000;

/** The least that each takes, with room for a few files. */
export const VOLUME_BYTES: Readonly<Record<FsType | 'raw', Bytes>> = {
  ext4: 32n * MiB,
  xfs: 304n * MiB,
  btrfs: 128n * MiB,
  raw: 16n * MiB,
};

export const NEVER = new AbortController().signal;

export interface MountedVolume {
  readonly id: VolumeId;
  readonly device: AttachedDevice;
  readonly mountPoint: string;
}

export class LogLines implements Logger {
  readonly lines: { readonly fields: LogFields; readonly message: string }[] = [];
  readonly #add = (fields: LogFields, message: string) => void this.lines.push({ fields, message });
  readonly debug = this.#add;
  readonly info = this.#add;
  readonly warn = this.#add;
  readonly error = this.#add;

  messages(): readonly string[] {
    return this.lines.map(({ message }) => message);
  }
}

/** Remembers only how many members count as frozen. */
class FrozenGauge implements Metrics {
  frozen = 0;
  most = 0;
  readonly rpc = ignore;
  readonly agentCall = ignore;
  readonly round = ignore;
  readonly leaseLost = ignore;
  readonly pool = ignore;

  frozenNow(members: number): void {
    this.frozen = members;
    this.most = Math.max(this.most, members);
  }
}

export class Rig implements AsyncDisposable {
  readonly node: string;
  readonly dataDir: string;
  readonly backend: Backend;
  readonly directory: NodeDirectory;
  readonly agent: NodeAgent;
  readonly log: LogLines;
  readonly leaseMs: number;
  readonly #gauge: FrozenGauge;
  readonly #storage: AsyncDisposable;
  readonly aborted: unknown[] = [];

  private constructor(
    dataDir: string,
    storage: Awaited<ReturnType<typeof openStorage>>,
    log: LogLines,
    gauge: FrozenGauge,
    leaseMs: number,
  ) {
    this.node = storage.agent.node;
    this.dataDir = dataDir;
    this.backend = storage.backend;
    this.agent = storage.agent;
    this.directory = new SingleNodeDirectory(storage.agent);
    this.log = log;
    this.leaseMs = leaseMs;
    this.#gauge = gauge;
    this.#storage = storage;
  }

  static async open(dataDir: string, options: RigOptions = {}): Promise<Rig> {
    const log = new LogLines();
    const gauge = new FrozenGauge();
    const { poolSize, ...given } = { poolSize: 2n * GiB, ...options };
    const all = {
      dataDir,
      backend: 'loop' as 'loop' | 'lvm-thin',
      nodeName: NODE,
      leaseMs: LEASE_MS,
      fenceBudgetMs: LEASE_MS,
      expediteRcu: true,
      overcommitRatio: 1000,
      poolReserve: 5,
      volumeGroup: 'none',
      thinPool: 'none',
      ...given,
      ...(poolSize !== undefined && { poolSize }),
    };
    return new Rig(dataDir, await openStorage(all, log, gauge, NEVER), log, gauge, all.leaseMs);
  }

  /** What the metrics say. */
  get frozen(): number {
    return this.#gauge.frozen;
  }

  /** At one moment, since the rig was opened. */
  get mostFrozen(): number {
    return this.#gauge.most;
  }

  volumeId(name: string): VolumeId {
    return volumeId(this.node, name);
  }

  /** A volume as CreateVolume would make it. */
  async create(name: string, capacityBytes: Bytes, source?: ContentSource): Promise<Volume> {
    const spec = { id: this.volumeId(name), name, capacityBytes, parameters: {}, ...(source && { source }) };
    return await this.agent.createVolume(spec, NEVER);
  }

  /** A volume in use with a filesystem, mounted on a folder of its name. @param blank is shown the device before mkfs */
  async volume(
    scratch: Scratch,
    name: string,
    fsType: FsType,
    bytes = VOLUME_BYTES[fsType],
    blank?: (device: AttachedDevice) => Promise<void>,
  ): Promise<MountedVolume> {
    const { id } = await this.create(name, bytes);
    const device = await this.backend.attach(id, { readOnly: false });
    await blank?.(device);
    await this.backend.setContent(id, { kind: 'formatting', fsType });
    await makeFilesystem(device.path, fsType);
    await this.backend.setContent(id, { kind: 'filesystem', fsType, identity: 'own' });
    return { id, device, mountPoint: await scratch.mount(name, device.path, fsType) };
  }

  /** A raw block volume in use. */
  async rawVolume(name: string, bytes = VOLUME_BYTES.raw): Promise<Omit<MountedVolume, 'mountPoint'>> {
    const { id } = await this.create(name, bytes);
    await this.backend.setContent(id, { kind: 'raw' });
    return { id, device: await this.backend.attach(id, { readOnly: false }) };
  }

  groupRequest(name: string, volumes: readonly VolumeId[], fenced = true): RoundRequest {
    const home = homeOf(volumes.map(nodeOfVolume));
    const group = { id: groupId(home, name), name, volumeIds: volumes.toSorted(compare), parameters: {} };
    return { name, group, members: members(name, volumes), fenced };
  }

  plan(name: string, volumes: readonly VolumeId[]): RoundPlan {
    return { token: newToken(), leaseMs: this.leaseMs, ...this.groupRequest(name, volumes) };
  }

  /** A round of one, as CreateSnapshot runs it. */
  snapshotRequest(name: string, volume: VolumeId): RoundRequest {
    return { name, members: [{ volumeId: volume, snapshotId: snapshotId(this.node, name) }], fenced: true };
  }

  coordinator(directory: NodeDirectory = this.directory): RoundCoordinator {
    return new RoundCoordinator(directory, this.leaseMs, {
      committed: () => undefined,
      aborted: (_story, reason) => void this.aborted.push(reason),
      undecided: () => undefined,
      unfinished: () => undefined,
    });
  }

  async group(name: string, volumes: readonly VolumeId[], signal = NEVER) {
    const [record] = await this.coordinator().run(this.groupRequest(name, volumes), signal);
    if (!record) throw new Error('no record');
    return record;
  }

  /** Names in a folder of the pool. */
  async inPool(...folder: string[]): Promise<readonly string[]> {
    return (await readdir(path.join(this.dataDir, 'pool', ...folder))).toSorted(compare);
  }

  async journal(): Promise<readonly string[]> {
    return await readdir(path.join(this.dataDir, 'journal')).catch(() => []);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#storage[Symbol.asyncDispose]();
  }
}

export function members(name: string, volumes: readonly VolumeId[]) {
  return volumes.map((id) => ({ volumeId: id, snapshotId: memberSnapshotId(nodeOfVolume(id), name, id) }));
}

function nodeOfVolume(id: VolumeId): NodeName {
  const node = nodeOf('volume', id);
  if (node === undefined) throw new Error(`${id} is not the id of a volume`);
  return node;
}

/** The guard that an agent has started: a child of its process. */
export async function guardOf(agentPid: number): Promise<number> {
  const children = await readFile(`/proc/${agentPid}/task/${agentPid}/children`, 'utf8');
  for (const pid of children.trim().split(' ').filter(Boolean).map(Number)) {
    const commandLine = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    if (commandLine.includes('fence/guard/main')) return pid;
  }
  throw new Error(`process ${agentPid} has no guard`);
}

export function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function ignore(): void {
  // Nothing that these tests look at.
}
