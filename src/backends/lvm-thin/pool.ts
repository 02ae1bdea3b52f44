/**
 * The thin pool: found or made in a volume group that is there. A pool that others made is used as it is; one of ours
 * grows when it is told to. None is ever removed or made smaller.
 */
import { randomBytes } from 'node:crypto';
import path from 'node:path';
import { type Bytes, formatBytes, GiB, MiB, maxBytes, minBytes, roundUp } from '../../core/bytes.ts';
import { DriverError, invalidArgument, messageOf } from '../../core/errors.ts';
import { failpoint } from '../../core/failpoint.ts';
import type { Logger } from '../../core/observe.ts';
import { type HeldAlone, ReadWriteLock } from '../../core/read-write-lock.ts';
import { DeviceMapper, listMapped } from '../../host/device-mapper.ts';
import { CommandError } from '../../host/exec.ts';
import { type LogicalVolume, Lvm } from '../../host/lvm/lvm.ts';
import { type ThinPoolStatus, thinPoolStatus } from '../../host/thin-pool.ts';
import { POOL_TAG, STARTING } from './layout.ts';

export interface PoolOptions {
  readonly dataDir: string;
  readonly volumeGroup: string;
  readonly thinPool: string;
  /** Size of the pool's data; absent: a share of what is free in the group at first, afterwards what it has. */
  readonly poolBytes?: Bytes;
}

/** Share of the group that a new pool takes when no size is given, percent. The rest is for its growth, and for repairs. */
const DEFAULT_POOL_PERCENT = 80n;
const CHUNK: Bytes = 64n * 1024n;
// A mapping of a chunk takes about 48 bytes, 0.07 % of the pool; snapshots have their own when they differ.
const METADATA_SHARE = 200n;
const METADATA_LEAST: Bytes = 16n * MiB;
/** More than this a thin pool can't use. */
const METADATA_MOST: Bytes = 15n * GiB;

/** Well under what a coordinator gives a node to prepare in. */
const OTHER_ROUNDS_MS = 10_000;

export class Pool implements AsyncDisposable {
  readonly lvm: Lvm;
  readonly mapper: DeviceMapper;
  readonly name: string;
  /** Granularity of everything that LVM allocates. */
  readonly extentBytes: Bytes;
  /** Shared by rounds from prepare to seal, had alone by whatever changes the group: see docs/adr/0010-lvm-thin.md. */
  readonly lock = new ReadWriteLock();

  constructor(lvm: Lvm, mapper: DeviceMapper, name: string, extentBytes: Bytes) {
    this.lvm = lvm;
    this.mapper = mapper;
    this.name = name;
    this.extentBytes = extentBytes;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.lvm[Symbol.asyncDispose]();
    await this.mapper[Symbol.asyncDispose]();
  }

  /** Runs a command that changes the group, alone. */
  async change(argv: readonly string[]): Promise<void> {
    using _alone = await this.lock.alone();
    await this.changeHeld(argv);
  }

  /** The same for whoever has the lock alone already. */
  async changeHeld(argv: readonly string[]): Promise<void> {
    try {
      await this.lvm.run(argv);
    } catch (error) {
      if (error instanceof CommandError && error.exitCode === undefined) await this.#resumeAfter(error);
      throw error;
    }
  }

  /**
   * LVM suspends devices to change them, and a command that was killed in between leaves them so: whoever writes waits. A
   * refresh resumes them with what LVM's metadata says, whichever half of the change that is.
   * @returns the logical volumes that were suspended
   */
  async resumeSuspended(): Promise<readonly string[]> {
    const suspended = new Set((await listMapped()).filter((device) => device.suspended).map(({ name }) => name));
    const thin = (await this.lvm.list()).filter(({ poolName }) => poolName === this.name).map(({ name }) => name);
    // The pool first: what is in it waits for it.
    const found = [this.name, ...thin].filter((name) => this.#devicesOf(name).some((device) => suspended.has(device)));
    for (const name of found) await this.lvm.run(['lvchange', '-y', '--refresh', this.lvm.pathOf(name)]);
    return found;
  }

  /** No round is between prepare and seal: what is suspended is nobody's fence. */
  async #resumeAfter(killed: CommandError): Promise<void> {
    try {
      await this.resumeSuspended();
    } catch (cause) {
      const reason = `devices of the pool may be suspended, and can't be resumed: ${messageOf(cause)}`;
      throw new DriverError('unavailable', `${killed.message}; ${reason}`, { cause });
    }
  }

  /** Devices of a logical volume, by the names that device-mapper has for them. */
  #devicesOf(name: string): readonly string[] {
    const own = this.lvm.deviceName(name);
    if (name !== this.name) return [own];
    const hidden = [`${name}_tdata`, `${name}_tmeta`].map((part) => this.lvm.deviceName(part));
    return [own, this.lvm.deviceName(name, 'tpool'), ...hidden];
  }

  /**
   * Nobody else changes the group, and no round is between prepare and seal, until it is given back.
   * @throws DriverError aborted when that takes too long: a round that has prepared here may be waiting for this one on
   *   another node, and neither would ever end
   */
  async begin(signal: AbortSignal): Promise<HeldAlone> {
    const limit = new AbortController();
    const reason = `other rounds or changes have held the thin pool for ${OTHER_ROUNDS_MS / 1000} s`;
    const timer = setTimeout(() => limit.abort(new DriverError('aborted', reason)), OTHER_ROUNDS_MS);
    try {
      return await this.lock.alone(AbortSignal.any([signal, limit.signal]));
    } finally {
      clearTimeout(timer);
    }
  }

  /** The device that takes messages: LVM puts a layer between it and the pool's name with the first volume. */
  async target(): Promise<string> {
    const below = this.lvm.deviceName(this.name, 'tpool');
    return (await this.mapper.find(below)) ? below : this.lvm.deviceName(this.name);
  }

  /** Not while LVM changes the pool: with its first volume the device gets another name. */
  async status(signal?: AbortSignal): Promise<ThinPoolStatus> {
    using _shared = await this.lock.share(signal);
    return await thinPoolStatus(this.mapper, await this.target());
  }
}

/**
 * Makes or finds the pool, and activates it. Safe to call again at any time.
 * @throws DriverError failed-precondition when LVM and the kernel disagree about the pool
 */
export async function openPool(options: PoolOptions, log: Logger): Promise<Pool> {
  await using opened = new AsyncDisposableStack();
  const lvm = opened.use(await Lvm.open(options.volumeGroup, path.join(options.dataDir, 'lvm')));
  const { extentBytes, freeBytes } = await lvm.describe();
  const present = await findPool(lvm, options.thinPool);
  if (!present) await makePool(lvm, options, freeBytes, extentBytes);
  else if (options.poolBytes !== undefined) await growPool(lvm, present, options.poolBytes, extentBytes);
  await failpoint('pool.named');
  const pool = new Pool(lvm, opened.use(await DeviceMapper.open()), options.thinPool, extentBytes);
  // First: what a suspended pool is told waits, or is lost.
  for (const volume of await pool.resumeSuspended()) {
    log.warn({ volume }, 'resumed what an earlier process had left suspended');
  }
  await activatePool(lvm, options.thinPool);
  await assertSameTransaction(pool);
  await finishInterrupted(pool);
  opened.move();
  return pool;
}

async function activatePool(lvm: Lvm, name: string): Promise<void> {
  try {
    await lvm.run(['lvchange', '-y', '-ay', lvm.pathOf(name)]);
  } catch (cause) {
    const [, kernel, ours] = /transaction_id is (\d+), while expected (\d+)/.exec(messageOf(cause)) ?? [];
    if (kernel === undefined || ours === undefined) throw cause;
    throw otherTransaction(lvm.pathOf(name), BigInt(kernel), BigInt(ours), cause);
  }
}

/** LVM looks when it activates a pool; one that is active already it takes as it is, and fails at the next change. */
async function assertSameTransaction(pool: Pool): Promise<void> {
  const { transactionId: kernel } = await pool.status();
  const ours = (await pool.lvm.find(pool.name))?.transactionId ?? 0n;
  // Ahead by one: a command of LVM that was killed half way. LVM has written down what is missing, and does it first.
  if (ours === kernel || ours === kernel + 1n) return;
  throw otherTransaction(pool.lvm.pathOf(pool.name), kernel, ours);
}

/**
 * Has LVM settle what a command that a crash cut short wanted of the kernel. `lvcreate` does it first; `lvremove` does
 * not, but adds to the same list, and LVM then drops the whole list when its head was done already (LVM 2.03.16): the
 * volume would be gone for LVM and stay in the kernel, under an id that LVM gives away again.
 * @throws CommandError in a pool that is full as well: it has no room for the one that `lvcreate` is to make
 */
async function finishInterrupted(pool: Pool): Promise<void> {
  const { lvm, name, extentBytes } = pool;
  if (await lvm.hasQueuedMessages()) {
    const size = ['-V', `${extentBytes}b`, '--thinpool', lvm.pathOf(name)];
    const made = `${STARTING}${randomBytes(6).toString('hex')}`;
    await lvm.run(['lvcreate', '-y', '-an', '-ky', '-Wn', ...size, '-n', made]);
  }
  // One of an earlier start, too, that did not get so far.
  const found = (await lvm.list()).filter((volume) => volume.poolName === name && volume.name.startsWith(STARTING));
  if (found.length > 0) await lvm.run(['lvremove', '-y', ...found.map((volume) => lvm.pathOf(volume.name))]);
}

function otherTransaction(pool: string, kernel: bigint, lvm: bigint, cause?: unknown): DriverError {
  return new DriverError(
    'failed-precondition',
    `LVM has transaction ${lvm} of the thin pool ${pool}, and the kernel has ${kernel}: something else than LVM has ` +
      'changed one of them, and nothing can be made in the pool. See docs/backends.md, "After unexpected transaction id"',
    { cause },
  );
}

/** The pool as it is; for a look only. @throws DriverError failed-precondition where the kernel has no device-mapper */
export async function lookAtPool(lvm: Lvm, name: string): Promise<Pool> {
  return new Pool(lvm, await DeviceMapper.open(), name, 1n);
}

async function findPool(lvm: Lvm, name: string): Promise<LogicalVolume | undefined> {
  const found = await lvm.find(name);
  if (found && !found.isThinPool) {
    throw new DriverError('failed-precondition', `${lvm.pathOf(name)} is there, and is not a thin pool`);
  }
  return found;
}

async function makePool(
  lvm: Lvm,
  { poolBytes, thinPool }: PoolOptions,
  freeBytes: Bytes,
  extentBytes: Bytes,
): Promise<void> {
  const size = roundUp(poolBytes ?? (freeBytes * DEFAULT_POOL_PERCENT) / 100n, extentBytes);
  const metadata = roundUp(maxBytes(METADATA_LEAST, minBytes(METADATA_MOST, size / METADATA_SHARE)), extentBytes);
  // The spare is what a repair of the metadata is written to.
  if (size + 2n * metadata > freeBytes) {
    const needed = `${formatBytes(size)} and twice ${formatBytes(metadata)} for its metadata`;
    throw invalidArgument('--pool-size', `${needed} are more than the group has free (${formatBytes(freeBytes)})`);
  }
  await lvm.run([
    ...['lvcreate', '-y', '--type', 'thin-pool', '-n', thinPool, '-L', `${size}b`, '--addtag', POOL_TAG],
    ...['--chunksize', `${CHUNK}b`, '--poolmetadatasize', `${metadata}b`, '--poolmetadataspare', 'y'],
    // What a volume had is never shown to the next one; and discards reach the disk.
    ...['--zero', 'y', '--discards', 'passdown', lvm.group],
  ]);
}

async function growPool(lvm: Lvm, pool: LogicalVolume, poolBytes: Bytes, extentBytes: Bytes): Promise<void> {
  const wanted = roundUp(poolBytes, extentBytes);
  if (wanted === pool.sizeBytes || !pool.tags.includes(POOL_TAG)) return;
  if (wanted < pool.sizeBytes) {
    throw invalidArgument(
      '--pool-size',
      `the pool is ${formatBytes(pool.sizeBytes)} already and can't shrink to ${formatBytes(wanted)}`,
    );
  }
  await lvm.run(['lvextend', '-y', '-L', `${wanted}b`, lvm.pathOf(pool.name)]);
}
