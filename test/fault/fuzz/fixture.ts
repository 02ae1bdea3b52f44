/** Things that the requests are about, good requests about them, and lures that bad ones might break. */
import { lstatSync, mkdirSync, readdirSync, readlinkSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { groupId, snapshotId, volumeId } from '../../../src/core/ids.ts';
import { readMountTable } from '../../../src/host/mount-table.ts';
import { connect } from '../../../src/rpc/client.ts';
import type { LoadedService } from '../../../src/rpc/proto.ts';
import { BLOCK, mountCapability } from '../../support/csi.ts';
import { compare } from '../../support/rig.ts';
import { dataOf, NODE_NAME } from '../../support/serve.ts';
import { MiB, type World } from '../world.ts';
import type { Message, Rpc } from './schema.ts';
import { SECRET } from './values.ts';

const EXT4 = mountCapability('ext4');
const SIZE = String(16 * MiB);
const CAPABILITY = { mount: { fs_type: 'ext4' }, access_mode: { mode: 'SINGLE_NODE_WRITER' } };
const BLOCK_CAPABILITY = { block: {}, access_mode: { mode: 'SINGLE_NODE_WRITER' } };
const secrets = { token: SECRET };
const here = { segments: { 'topology.cofferdam.io/node': NODE_NAME } };

export type Untyped = Readonly<Record<string, (request: unknown) => Promise<Message>>>;

export class Fixture {
  readonly lures: readonly string[];
  readonly good: Readonly<Record<string, readonly Message[]>>;
  readonly #world: World;

  private constructor(world: World, good: Fixture['good']) {
    this.#world = world;
    this.good = good;
    this.lures = luresIn(world);
    this.restoreLures();
  }

  static async make(world: World): Promise<Fixture> {
    const idle = await world.create('idle', Number(SIZE), EXT4);
    const other = await world.create('other', Number(SIZE), EXT4);
    const mounted = await world.create('mounted', Number(SIZE), EXT4);
    const block = await world.create('block', Number(SIZE), BLOCK);
    await world.stage(mounted, 'mounted', EXT4);
    await world.publish(mounted, 'mounted', EXT4);
    await world.stage(block, 'block', BLOCK);
    await world.publish(block, 'block', BLOCK);
    const { snapshot } = await world.csi.controller.CreateSnapshot({ name: 'kept', sourceVolumeId: idle });
    const { groupSnapshot } = await world.csi.group.CreateVolumeGroupSnapshot({
      name: 'kept',
      sourceVolumeIds: [idle, other],
    });
    const ids = {
      idle,
      other,
      mounted,
      block,
      snapshot: snapshot?.snapshotId ?? '',
      group: groupSnapshot?.groupSnapshotId ?? '',
      members: groupSnapshot?.snapshots.map((member) => member.snapshotId) ?? [],
    };
    const place = async (name: string) => await world.place(name);
    return new Fixture(world, {
      ...goodRequests(ids),
      ...goodNodeRequests(ids, {
        mounted: [await place('mounted-staged'), await place('mounted')],
        block: [await place('block-staged'), await place('block')],
      }),
    });
  }

  /** A request to mount a volume that has a filesystem and is not mounted. */
  async freshMount(): Promise<Message> {
    const volume_id = await this.#world.create('fresh', Number(SIZE), EXT4);
    await this.#world.stage(volume_id, 'fresh', EXT4);
    await this.#world.unstage(volume_id, 'fresh');
    const staging_target_path = await this.#world.place('fresh-staged');
    return { volume_id, staging_target_path, volume_capability: CAPABILITY };
  }

  /** A client that sends what it is given, by names that the protocol has. */
  client(service: LoadedService): Untyped & Disposable {
    const channel = connect(`unix://${this.#world.scratch.path('csi.sock')}`);
    return { ...channel.client<Record<string, never>>(service), [Symbol.dispose]: () => channel.close() } as Untyped &
      Disposable;
  }

  restoreLures(): void {
    const outside = outsideOf(this.#world);
    rmSync(outside, { recursive: true, force: true });
    mkdirSync(path.join(outside, 'full'), { recursive: true });
    mkdirSync(path.join(outside, 'empty folder'));
    writeFileSync(path.join(outside, 'full/treasure'), 'treasure');
    writeFileSync(path.join(outside, 'file'), 'content');
    writeFileSync(path.join(outside, 'empty file'), '');
    symlinkSync('full', path.join(outside, 'link'));
  }

  /** What is attached. A block volume may have a second device, for those who only read: it goes with the first. */
  async attached(): Promise<readonly string[]> {
    const loops = await this.#world.scratch.loops();
    return [...new Set(loops.map(({ backingPath }) => backingPath))].toSorted(compare);
  }

  /** All that a refused call must leave as it is, but for the devices. */
  async state(): Promise<string> {
    const mounts = (await readMountTable()).map(
      ({ mountPoint, root, options }) => `${mountPoint} ${root} ${options.join(',')}`,
    );
    const ours = mounts.filter((mount) => mount.includes(this.#world.scratch.folder));
    return JSON.stringify([
      tree(dataOf(this.#world.scratch)),
      tree(outsideOf(this.#world)),
      tree(this.#world.scratch.path('kubelet')),
      ours,
    ]);
  }
}

/** What an accepted request has made goes again. */
export async function undo(world: World, { method }: Rpc, request: Message, answer: Message): Promise<void> {
  const { controller, group, node } = world.csi;
  switch (method) {
    case 'CreateVolume':
      await controller.DeleteVolume({ volumeId: (answer.volume as { volume_id: string }).volume_id });
      break;
    case 'CreateSnapshot':
      await controller.DeleteSnapshot({ snapshotId: (answer.snapshot as { snapshot_id: string }).snapshot_id });
      break;
    case 'CreateVolumeGroupSnapshot': {
      const made = answer.group_snapshot as { group_snapshot_id: string; snapshots: { snapshot_id: string }[] };
      const snapshotIds = made.snapshots.map((snapshot) => snapshot.snapshot_id);
      await group.DeleteVolumeGroupSnapshot({ groupSnapshotId: made.group_snapshot_id, snapshotIds });
      break;
    }
    case 'NodeStageVolume': {
      const { volume_id: id, staging_target_path: path } = request as {
        volume_id: string;
        staging_target_path?: string;
      };
      if (path?.endsWith('/fresh-staged')) await node.NodeUnstageVolume({ volumeId: id, stagingTargetPath: path });
      break;
    }
    case 'NodePublishVolume': {
      const { volume_id: id, target_path: targetPath } = request as { volume_id: string; target_path?: string };
      if (targetPath?.includes('/outside/')) await node.NodeUnpublishVolume({ volumeId: id, targetPath });
      break;
    }
  }
}

function outsideOf(world: World): string {
  return world.scratch.path('outside');
}

/** In one folder: a path elsewhere might really be mounted to. */
function luresIn(world: World): readonly string[] {
  const outside = outsideOf(world);
  const inside = (name: string) => path.join(outside, name);
  return [
    inside('full'),
    inside('file'),
    inside('link'),
    inside('link/treasure'),
    inside('file/below'),
    inside('nobody/made/this'),
    inside('new'),
    inside('new name with spaces\tand\ntwo lines'),
    inside('x'.repeat(255)),
    inside('x'.repeat(256)),
    `${outside}/full/../full`,
    `${outside}//./full//`,
    `${outside}/full/`,
    `${outside}/full\0/etc`,
    path.join(dataOf(world.scratch), 'pool'),
    path.join(dataOf(world.scratch), 'pool/volumes'),
    path.join(dataOf(world.scratch), 'lock'),
    '/dev/null',
    '/proc/self/mem',
    '/proc/1/root',
  ];
}

function tree(folder: string): readonly string[] {
  return readdirSync(folder).flatMap((name) => {
    const file = path.join(folder, name);
    const { mode, size, mtimeMs, ino } = lstatSync(file);
    const isFolder = (mode & 0o170000) === 0o040000;
    const isLink = (mode & 0o170000) === 0o120000;
    // The kernel writes filesystems back when it likes.
    const time = /\.(xfs|img)$/.test(name) ? '' : mtimeMs;
    const own = `${file} ${mode} ${ino} ${time} ${isFolder ? '' : size} ${isLink ? readlinkSync(file) : ''}`;
    return isFolder && !file.includes('/kubelet/') ? [own, ...tree(file)] : [own];
  });
}

interface Ids {
  readonly idle: string;
  readonly other: string;
  readonly mounted: string;
  readonly block: string;
  readonly snapshot: string;
  readonly group: string;
  readonly members: readonly string[];
}

const NOBODY = volumeId(NODE_NAME, 'nobody made this');
const NO_SNAPSHOT = snapshotId(NODE_NAME, 'nobody took this');

/** Several for an RPC: what one of them has, another may lack. */
function goodRequests({ idle, other, snapshot, group, members }: Ids): Fixture['good'] {
  const capacity_range = { required_bytes: SIZE, limit_bytes: String(64 * MiB) };
  const volume_capabilities = [CAPABILITY];
  const accessibility_requirements = { requisite: [here], preferred: [here] };
  const parameters = { 'csi.storage.k8s.io/pvc/name': 'claim' };
  const page = { max_entries: 3, starting_token: '' };
  const source = { volume_content_source: { snapshot: { snapshot_id: snapshot } } };
  const created = {
    name: 'made by the fuzz',
    capacity_range,
    volume_capabilities,
    accessibility_requirements,
    secrets,
  };
  return {
    CreateVolume: [
      { ...created, parameters },
      { ...created, ...source },
      { ...created, volume_content_source: { volume: { volume_id: idle } } },
      { ...created, volume_capabilities: [BLOCK_CAPABILITY] },
    ],
    DeleteVolume: [{ volume_id: NOBODY, secrets }],
    ControllerPublishVolume: [{ volume_id: idle, node_id: NODE_NAME, volume_capability: CAPABILITY }],
    ControllerUnpublishVolume: [{ volume_id: idle, node_id: NODE_NAME }],
    ValidateVolumeCapabilities: [{ volume_id: idle, volume_context: {}, volume_capabilities, parameters, secrets }],
    ListVolumes: [page],
    ControllerListVolumeHealth: [page],
    ControllerGetVolumeHealth: [{ volume_id: idle, secrets }],
    GetCapacity: [{ volume_capabilities, parameters, accessible_topology: here }],
    CreateSnapshot: [
      { source_volume_id: idle, name: 'made by the fuzz', secrets, parameters, accessibility_requirements },
    ],
    DeleteSnapshot: [{ snapshot_id: NO_SNAPSHOT, secrets }],
    ListSnapshots: [page, { ...page, source_volume_id: idle }, { ...page, snapshot_id: snapshot, secrets }],
    GetSnapshot: [{ snapshot_id: snapshot, secrets }],
    ControllerExpandVolume: [{ volume_id: idle, capacity_range, secrets, volume_capability: CAPABILITY }],
    ControllerGetVolume: [{ volume_id: idle }],
    ControllerModifyVolume: [{ volume_id: idle, secrets, mutable_parameters: { a: 'b' } }],
    CreateVolumeGroupSnapshot: [{ name: 'made by the fuzz', source_volume_ids: [idle, other], secrets, parameters }],
    DeleteVolumeGroupSnapshot: [
      { group_snapshot_id: groupId(NODE_NAME, 'nobody'), snapshot_ids: [NO_SNAPSHOT], secrets },
    ],
    GetVolumeGroupSnapshot: [{ group_snapshot_id: group, snapshot_ids: members, secrets }],
  };
}

type TwoPaths = readonly [string, string];

function goodNodeRequests(
  { mounted, block }: Ids,
  places: { readonly mounted: TwoPaths; readonly block: TwoPaths },
): Fixture['good'] {
  const uses = [
    { volume_id: mounted, volume_capability: CAPABILITY, places: places.mounted },
    { volume_id: block, volume_capability: BLOCK_CAPABILITY, places: places.block },
  ];
  const contexts = { publish_context: {}, volume_context: {}, secrets };
  const each = (make: (use: (typeof uses)[number], staging: string, target: string) => Message) =>
    uses.map((use) => make(use, ...use.places));
  return {
    NodeStageVolume: each(({ volume_id, volume_capability }, staging) => ({
      ...{ volume_id, volume_capability, staging_target_path: staging, ...contexts },
    })),
    NodePublishVolume: each(({ volume_id, volume_capability }, staging, target) => ({
      ...{ volume_id, volume_capability, staging_target_path: staging, target_path: target, readonly: false },
      ...contexts,
    })),
    NodeUnpublishVolume: [{ volume_id: NOBODY, target_path: places.mounted[1] }],
    NodeUnstageVolume: [{ volume_id: NOBODY, staging_target_path: places.mounted[0] }],
    NodeGetVolumeStats: each(({ volume_id }, staging_target_path, volume_path) => ({
      ...{ volume_id, volume_path, staging_target_path },
    })),
    NodeGetVolumeHealth: each(({ volume_id }, staging_target_path, volume_publish_path) => ({
      ...{ volume_id, volume_publish_path, staging_target_path },
    })),
    NodeGetStorageHealth: [{ secrets }],
    NodeExpandVolume: each(({ volume_id, volume_capability }, staging_target_path, volume_path) => ({
      ...{ volume_id, volume_path, staging_target_path, volume_capability, secrets },
      capacity_range: { required_bytes: SIZE, limit_bytes: String(64 * MiB) },
    })),
  };
}
