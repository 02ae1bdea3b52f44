/**
 * Runs in the guest of test/vm/power-cuts.ts: `power-cut.ts DISK SEED LOG` looks whether everything is there that the log
 * on that raw disk says was acknowledged, then works on until the power is cut: creates, writes, grows, copies and deletes
 * at random, and writes down what was acknowledged, durably, before it goes on.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { MiB } from '../../../src/core/bytes.ts';
import { groupId, snapshotId } from '../../../src/core/ids.ts';
import { NEVER, NODE, Rig } from '../../support/rig.ts';
import { Scratch } from '../../support/scratch.ts';
import type { PoolDisk } from '../power-cuts.ts';
import { checkWorld } from './power-cut-check.ts';
import { PowerCutLog, type World } from './power-cut-log.ts';
import { DATA, poolOn } from './power-cut-pools.ts';
import { Texts } from './power-cut-texts.ts';

const GROW_BYTES = 16n * MiB;
const MOST_VOLUMES = 5;
const MOST_CUTS = 4;
const MOST_MEMBERS = 3;
/** Often longer than what was done: a cut then meets what the driver left unsynced, and nothing that syncs it later. */
const MOST_PAUSE_MS = 1000;

/** An emulated machine may be slow, and an operation that fails ends the work. */
const LEASE_MS = 60_000;

const [, , disk = '', seed = '0', logDevice = ''] = process.argv;
const pool = poolOn(disk as PoolDisk);
const log = new PowerCutLog(logDevice);
const world = await log.read();
await pool.reach();
const rig = await Rig.open(DATA, { ...pool.options, leaseMs: LEASE_MS, fenceBudgetMs: LEASE_MS });
const texts = new Texts(rig, await Scratch.open());
await checkWorld(world, rig, texts);
const half = await pool.halfMade(rig);
if (half.length > 0) throw new Error(`half made: ${half.join(', ')}`);
await log.write(world);
await work();

async function work(): Promise<never> {
  // xorshift32: the same seed, the same work.
  let state = Number(seed) + 1;
  const random = (below: number) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
  const pick = (names: readonly string[]) => names[random(names.length)] ?? '';
  for (let step = 0; ; step++) {
    const names = Object.keys(world.volumes);
    const cuts = [...Object.keys(world.snapshots), ...Object.keys(world.groups)];
    const text = `text-${seed}-${step}`;
    const kind = names.length < 2 ? 0 : random(8);
    if (kind === 0 && names.length < MOST_VOLUMES) await make(free('volume', names), text, random(2) === 0);
    else if (kind === 1) await write(pick(names), text);
    else if (kind === 2) await grow(pick(names));
    else if (kind === 3 && cuts.length < MOST_CUTS) await snapshot(free('snapshot', cuts), pick(names));
    else if (kind === 4 && cuts.length < MOST_CUTS) await group(free('group', cuts));
    else if (kind === 5 && names.length < MOST_VOLUMES) await clone(free('volume', names), pick(names));
    else if (kind === 6 && cuts.length > 0) await removeCut(pick(cuts));
    else if (names.length > 2) await remove(pick(names));
    await sleep(random(MOST_PAUSE_MS));
  }
}

/** A name that was deleted is soon used again. */
function free(kind: string, names: readonly string[]): string {
  let number = 1;
  while (names.includes(`${kind}-${number}`)) number++;
  return `${kind}-${number}`;
}

/** Writes down what begins, does it, and writes down that it was acknowledged. */
async function acknowledged(begun: NonNullable<World['begun']>, act: () => Promise<void>): Promise<void> {
  world.begun = begun;
  await log.write(world);
  await act();
  world.begun = null;
  await log.write(world);
}

async function make(name: string, text: string, raw: boolean): Promise<void> {
  await acknowledged({ name }, async () => {
    const bytes = await texts.make(name, raw ? 'raw' : 'ext4', text);
    world.volumes[name] = { text, bytes: String(bytes) };
  });
}

async function write(name: string, text: string): Promise<void> {
  await acknowledged({ name, text }, async () => {
    await texts.write(name, text);
    world.volumes[name] = { ...volume(name), text };
  });
}

async function grow(name: string): Promise<void> {
  const bytes = BigInt(volume(name).bytes) + GROW_BYTES;
  await acknowledged({ name }, async () => {
    await rig.backend.expandVolume(rig.volumeId(name), bytes, NEVER);
    world.volumes[name] = { ...volume(name), bytes: String(bytes) };
  });
}

// What is made in one step is written down before: if it is there after a cut, it is whole.

async function snapshot(name: string, of: string): Promise<void> {
  world.snapshots[name] = volume(of).text;
  await acknowledged({ name }, async () => {
    await rig.coordinator().run(rig.snapshotRequest(name, rig.volumeId(of)), NEVER);
  });
}

async function group(name: string): Promise<void> {
  const { items } = await rig.backend.listVolumes({});
  const raw = items.filter(({ content }) => content.kind === 'raw');
  const others = items.filter((each) => !raw.includes(each));
  const members = [...raw.slice(0, pool.rawMembers), ...others].slice(0, MOST_MEMBERS);
  world.groups[name] = Object.fromEntries(members.map(({ id, name: member }) => [id, volume(member).text]));
  await acknowledged({ name }, async () => {
    await rig.group(
      name,
      members.map(({ id }) => id),
    );
  });
}

async function clone(name: string, of: string): Promise<void> {
  const source = volume(of);
  world.volumes[name] = source;
  await acknowledged({ name }, async () => {
    await rig.create(name, BigInt(source.bytes), { kind: 'volume', id: rig.volumeId(of) });
  });
}

async function removeCut(name: string): Promise<void> {
  await acknowledged({ name }, async () => {
    await rig.backend.deleteSnapshot(snapshotId(NODE, name));
    await rig.backend.deleteGroup(groupId(NODE, name));
    delete world.snapshots[name];
    delete world.groups[name];
  });
}

async function remove(name: string): Promise<void> {
  await acknowledged({ name }, async () => {
    await texts.close(name);
    await rig.backend.deleteVolume(rig.volumeId(name));
    delete world.volumes[name];
  });
}

function volume(name: string): World['volumes'][string] {
  const found = world.volumes[name];
  if (!found) throw new Error(`no volume ${name}`);
  return found;
}
