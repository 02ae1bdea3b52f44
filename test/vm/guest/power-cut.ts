/**
 * Runs in the guest of test/vm/power-cut.test.ts: `power-cut.ts check SEED LOG` looks whether everything is there that
 * the log on that raw disk says was acknowledged, then works on until the power is cut: creates, grows, snapshots and
 * deletes at random, and writes down what was acknowledged, durably, before it goes on.
 */
import { open } from 'node:fs/promises';
import type { AttachedDevice } from '../../../src/core/backend.ts';
import { type Bytes, MiB } from '../../../src/core/bytes.ts';
import { groupId, type SnapshotId, snapshotId, type VolumeId } from '../../../src/core/ids.ts';
import { Lvm } from '../../../src/host/lvm/lvm.ts';
import { readBlock, writeBlock } from '../../contract/contract.ts';
import { checkThinPool } from '../../support/lvm.ts';
import { NODE, Rig } from '../../support/rig.ts';
import { GROUP } from '../ground.ts';

const SECTOR = 512;
const VOLUME_BYTES = 16n * MiB;
const MOST_VOLUMES = 6;
const POOL = 'cuts';
/** For looking past the driver. */
const LOOK = '/var/tmp/look';

/** What exists. A text that is `undefined` was under way when the power went: it may have any of its values. */
interface World {
  readonly volumes: Record<string, { text: string; bytes: string }>;
  /** By name, of one volume each: what it must hold. */
  readonly snapshots: Record<string, string>;
  /** By name: members, and what they must hold. */
  readonly groups: Record<string, Record<string, string>>;
  /** What was begun last: it may be there or not. */
  begun: string | null;
}

const [, , seedText = '0', logDevice = '/dev/vdb'] = process.argv;

/** The world in one write to the disk: two places in turn, the newer one that is whole counts. */
class Log {
  #turn = 0;

  async read(): Promise<World> {
    await using file = await open(logDevice, 'r');
    const found: { turn: number; world: World }[] = [];
    for (const place of [0, 1]) {
      const { buffer } = await file.read(Buffer.alloc(1 << 20), 0, 1 << 20, place << 20);
      const text = buffer.toString('utf8', 0, Math.max(0, buffer.indexOf(0)));
      try {
        found.push(JSON.parse(text) as { turn: number; world: World });
      } catch {
        // Never written, or not whole.
      }
    }
    const newest = found.toSorted((a, b) => b.turn - a.turn)[0];
    this.#turn = newest?.turn ?? 0;
    return newest?.world ?? { volumes: {}, snapshots: {}, groups: {}, begun: null };
  }

  async write(world: World): Promise<void> {
    const text = Buffer.from(`${JSON.stringify({ turn: ++this.#turn, world })}\0`);
    const padded = Buffer.concat([text, Buffer.alloc(SECTOR - (text.length % SECTOR))]);
    await using file = await open(logDevice, 'r+');
    await file.write(padded, 0, padded.length, (this.#turn % 2) << 20);
    await file.sync();
  }
}

const log = new Log();
const world = await log.read();
await checkPool();
const rig = await Rig.open('/var/tmp/data', {
  backend: 'lvm-thin',
  volumeGroup: GROUP,
  thinPool: POOL,
  poolSize: 2048n * MiB,
});
await check();
process.stdout.write('checked\n');
await work();

/** The pool as the power cut left it, before anything activates it. */
async function checkPool(): Promise<void> {
  await using found = await Lvm.open(GROUP, `${LOOK}/lvm`);
  if (await found.find(POOL)) checkThinPool(LOOK, GROUP, POOL);
}

async function check(): Promise<void> {
  const { backend } = rig;
  const unsure = (name: string) => world.begun?.split(' ').includes(name) ?? false;
  const volumes = new Map((await backend.listVolumes({})).items.map((volume) => [volume.name, volume]));
  for (const [name, { text, bytes }] of Object.entries(world.volumes)) {
    const volume = volumes.get(name);
    if (!volume && unsure(name)) continue;
    if (!volume) throw new Error(`volume ${name} is lost`);
    if (volume.capacityBytes < BigInt(bytes)) throw new Error(`volume ${name} is smaller than ${bytes}`);
    await expectText(volume.id, text, unsure(name));
  }
  for (const name of volumes.keys()) {
    if (!(name in world.volumes) && !unsure(name)) throw new Error(`volume ${name} was deleted and is back`);
  }
  const snapshots = new Set((await backend.listSnapshots({}, {})).items.map(({ id }) => id));
  for (const [name, text] of Object.entries(world.snapshots)) {
    const id = snapshotId(NODE, name);
    if (snapshots.delete(id)) await expectSnapshot(id, text);
    else if (!unsure(name)) throw new Error(`snapshot ${name} is lost`);
  }
  for (const [name, members] of Object.entries(world.groups)) {
    const record = await backend.getGroup(groupId(NODE, name));
    if (!record && unsure(name)) continue;
    if (record?.snapshots.length !== Object.keys(members).length) throw new Error(`group ${name} is lost, or half`);
    for (const { id, sourceVolumeId } of record.snapshots) {
      snapshots.delete(id);
      const text = members[sourceVolumeId];
      if (text !== undefined) await expectSnapshot(id, text);
    }
  }
  if (snapshots.size > 0 && world.begun === null)
    throw new Error(`snapshots nobody asked for: ${[...snapshots].join(', ')}`);
  await using lvm = await Lvm.open(GROUP, `${LOOK}/lvm`);
  const half = (await lvm.list()).filter(({ tags }) => tags.some((tag) => /state=(pending|sealed)/.test(tag)));
  if (half.length > 0) throw new Error(`half made: ${half.map(({ name }) => name).join(', ')}`);
  await startAnew();
}

/** What was under way is decided now: take stock. */
async function startAnew(): Promise<void> {
  for (const record of Object.keys(world.groups)) await rig.backend.deleteGroup(groupId(NODE, record));
  for (const { id, groupId: group } of (await rig.backend.listSnapshots({}, {})).items) {
    if (group === undefined) await rig.backend.deleteSnapshot(id);
    else await rig.backend.deleteGroup(group);
  }
  for (const { id } of (await rig.backend.listVolumes({})).items) {
    await rig.backend.detach(id);
    await rig.backend.deleteVolume(id);
  }
  Object.assign(world, { volumes: {}, snapshots: {}, groups: {}, begun: null });
  await log.write(world);
}

async function expectText(id: VolumeId, text: string, unsure: boolean): Promise<void> {
  const found = await readBlock(await rig.backend.attach(id, { readOnly: true }));
  if (found !== text && !unsure) throw new Error(`volume ${id} holds ${found}, not ${text}`);
}

async function expectSnapshot(id: SnapshotId, text: string): Promise<void> {
  const snapshot = await rig.backend.getSnapshot(id);
  const { id: restored } = await rig.create(`look-${id.slice(5, 20)}`, snapshot?.sizeBytes ?? 0n, {
    kind: 'snapshot',
    id,
  });
  await expectText(restored, text, false);
  await rig.backend.detach(restored);
  await rig.backend.deleteVolume(restored);
}

async function work(): Promise<never> {
  // xorshift32: the same seed, the same work.
  let state = Number(seedText) + 1;
  const random = (below: number) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
  const pick = (names: readonly string[]) => names[random(names.length)] ?? '';
  for (let step = 0; ; step++) {
    const names = Object.keys(world.volumes);
    const kind = names.length < 2 ? 0 : random(6);
    if (kind === 0 && names.length < MOST_VOLUMES) await make(`volume-${step}`);
    else if (kind === 1) await write(pick(names), `text-${step}`);
    else if (kind === 2) await grow(pick(names));
    else if (kind === 3) await snapshot(`snapshot-${step}`, pick(names));
    else if (kind === 4) await group(`group-${step}`, names.slice(0, 3));
    else if (names.length > 2) await remove(pick(names));
  }
}

/** Writes down what begins, does it, and writes down that it was acknowledged. */
async function acknowledged(begun: string, act: () => Promise<void>): Promise<void> {
  world.begun = begun;
  await log.write(world);
  await act();
  world.begun = null;
  await log.write(world);
}

async function make(name: string): Promise<void> {
  await acknowledged(name, async () => {
    const { device } = await rig.rawVolume(name, VOLUME_BYTES);
    await writeBlock(device, name);
    world.volumes[name] = { text: name, bytes: String(VOLUME_BYTES) };
  });
}

async function write(name: string, text: string): Promise<void> {
  await acknowledged(name, async () => {
    await writeBlock(await deviceOf(name), text);
    world.volumes[name] = { text, bytes: world.volumes[name]?.bytes ?? '0' };
  });
}

async function grow(name: string): Promise<void> {
  const bytes: Bytes = BigInt(world.volumes[name]?.bytes ?? '0') + VOLUME_BYTES;
  await acknowledged(name, async () => {
    await rig.backend.expandVolume(rig.volumeId(name), bytes, new AbortController().signal);
    world.volumes[name] = { text: world.volumes[name]?.text ?? '', bytes: String(bytes) };
  });
}

async function snapshot(name: string, volume: string): Promise<void> {
  await acknowledged(name, async () => {
    const request = rig.snapshotRequest(name, rig.volumeId(volume));
    await rig.coordinator().run(request, new AbortController().signal);
    world.snapshots[name] = world.volumes[volume]?.text ?? '';
  });
}

async function group(name: string, volumes: readonly string[]): Promise<void> {
  await acknowledged(name, async () => {
    const ids = volumes.map((volume) => rig.volumeId(volume));
    await rig.group(name, ids);
    world.groups[name] = Object.fromEntries(
      volumes.map((volume, i) => [ids[i] ?? '', world.volumes[volume]?.text ?? '']),
    );
  });
}

async function remove(name: string): Promise<void> {
  await acknowledged(name, async () => {
    await rig.backend.detach(rig.volumeId(name));
    await rig.backend.deleteVolume(rig.volumeId(name));
    delete world.volumes[name];
  });
}

async function deviceOf(name: string): Promise<AttachedDevice> {
  return await rig.backend.attach(rig.volumeId(name), { readOnly: false });
}
