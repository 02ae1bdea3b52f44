/** What the power-cut test must know of a backend's pool, and the driver does not tell. */
import { mkdir } from 'node:fs/promises';
import { MiB } from '../../../src/core/bytes.ts';
import { Lvm } from '../../../src/host/lvm/lvm.ts';
import { mount } from '../../../src/host/mount.ts';
import { checkThinPool } from '../../support/lvm.ts';
import type { Rig, RigOptions } from '../../support/rig.ts';
import { GROUP } from '../ground.ts';
import type { PoolDisk } from '../power-cuts.ts';

export const DATA = '/var/tmp/data';

export interface PoolAfterCut {
  readonly options: RigOptions;
  /** How many raw volumes a group may have. */
  readonly rawMembers: number;
  /** Before the driver starts: the pool as the power cut left it, looked at as far as it can be. */
  reach(): Promise<void>;
  /** After it has started: what is neither there nor gone. */
  halfMade(rig: Rig): Promise<readonly string[]>;
}

export function poolOn(disk: PoolDisk): PoolAfterCut {
  return disk === 'lvm' ? LVM : loopOn(disk);
}

const POOL = 'cuts';
const POOL_SIZE = 2048n * MiB;
/** For looking past the driver. */
const LOOK = '/var/tmp/look/lvm';

const LVM: PoolAfterCut = {
  options: { backend: 'lvm-thin', volumeGroup: GROUP, thinPool: POOL, poolSize: POOL_SIZE },
  rawMembers: Number.POSITIVE_INFINITY,
  async reach() {
    await using found = await Lvm.open(GROUP, LOOK);
    if (await found.find(POOL)) checkThinPool('/var/tmp/look', GROUP, POOL);
  },
  async halfMade() {
    await using lvm = await Lvm.open(GROUP, LOOK);
    const half = (await lvm.list()).filter(({ tags }) => tags.some((tag) => /state=(pending|sealed)/.test(tag)));
    return half.map(({ name }) => name);
  },
};

function loopOn(fsType: Exclude<PoolDisk, 'lvm'>): PoolAfterCut {
  return {
    // Where the data folder can reflink there is no pool of its own, which could have a size.
    options: { backend: 'loop', poolSize: fsType === 'ext4' ? POOL_SIZE : undefined },
    rawMembers: 1,
    async reach() {
      await mkdir(DATA, { recursive: true });
      await mount({ source: '/dev/vda', target: DATA, fsType, options: [] });
    },
    async halfMade(rig) {
      const volumes = await rig.inPool('volumes');
      const alone = volumes.filter((name) => {
        const other = name.endsWith('.img') ? name.replace(/img$/, 'json') : name.replace(/json$/, 'img');
        return !volumes.includes(other);
      });
      const cuts = await rig.inPool('cuts');
      const contents = await Promise.all(cuts.map((token) => rig.inPool('cuts', token)));
      return [...alone, ...cuts.filter((_, i) => !contents[i]?.includes('committed.json'))];
    },
  };
}
