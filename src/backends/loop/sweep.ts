/**
 * At start: removes what a crash left uncommitted. It goes by the names that this backend gives, and touches nothing
 * else, whatever lies in the pool.
 */
import { readdir, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { hasCode } from '../../core/errors.ts';
import { failpoint } from '../../core/failpoint.ts';
import type { NodeName } from '../../core/ids.ts';
import type { Logger } from '../../core/observe.ts';
import { isDecidedElsewhere, isRoundToken, type RoundToken } from '../../core/round.ts';
import type { CutRecord } from '../../core/snapshot.ts';
import { exists } from '../../host/exists.ts';
import { detachLoop, findLoops, listLoops } from '../../host/loop.ts';
import { mountsOfDevice } from '../../host/mount-table.ts';
import type { PoolIndex } from '../pool-index.ts';
import { decodeCut } from '../records.ts';
import { COMMITTED, type Layout, SEALED, VOLUME_FILE } from './layout.ts';
import type { Trash } from './trash.ts';

/** What `writeFileDurably` leaves when the machine dies between write and rename. */
const UNFINISHED_RECORD = /^\.vol-[a-z2-7]{26}\.json\.[0-9a-f]+\.tmp$/;

export interface SweptPool {
  readonly layout: Layout;
  /** What the pool was found to have. */
  readonly index: PoolIndex;
  readonly node: NodeName;
  readonly trash: Trash;
  readonly log: Logger;
}

/** @returns the sealed cuts that stay, because another node decides over them */
export async function sweep(pool: SweptPool): Promise<readonly CutRecord[]> {
  const { layout, trash, log } = pool;
  await sweepVolumes(pool);
  await failpoint('sweep.volumes');
  const undecided = await sweepCuts(pool);
  await failpoint('sweep.cuts');
  await sweepDevices(layout, log);
  await trash.emptyLeftovers();
  return undecided;
}

/** An image without its record was never acknowledged, or its deletion was. */
async function sweepVolumes({ layout, trash, log }: SweptPool): Promise<void> {
  const names = new Set(await readdir(layout.volumes));
  for (const name of names) {
    if (UNFINISHED_RECORD.test(name)) await rm(path.join(layout.volumes, name), { force: true });
    const match = VOLUME_FILE.exec(name);
    if (match?.[2] !== 'img' || names.has(`${match[1]}.json`)) continue;
    const image = path.join(layout.volumes, name);
    const loops = await findLoops(image);
    if ((await Promise.all(loops.map(({ devNumber }) => mountsOfDevice(devNumber)))).flat().length > 0) {
      log.warn({ image: name }, 'an image without a record is mounted');
      continue;
    }
    for (const loop of loops) await detachLoop(loop.path, undefined, loop);
    log.info({ image: name }, 'removing an image that was never committed');
    await trash.discard(image);
  }
}

/** A cut without a commit: see `Backend.sealCut` for the one kind that stays. */
async function sweepCuts({ layout, index, node, trash, log }: SweptPool): Promise<readonly CutRecord[]> {
  const undecided: CutRecord[] = [];
  for (const token of await readdir(layout.cuts)) {
    if (!isRoundToken(token)) continue;
    const folder = layout.cut(token);
    // There may be thousands, and those that are committed were read a moment ago. A folder that can't be read is not swept.
    if (index.cut(token) || (await readdir(folder)).includes(COMMITTED)) continue;
    const sealed = await readSealed(path.join(folder, SEALED), token);
    if (sealed && isDecidedElsewhere(sealed.group, node)) {
      undecided.push(sealed);
      continue;
    }
    log.info({ token }, 'removing a cut that was never committed');
    await trash.discard(folder);
  }
  return undecided;
}

async function readSealed(file: string, token: RoundToken): Promise<CutRecord | undefined> {
  if (!(await exists(file))) return undefined;
  try {
    return decodeCut(await readFile(file, 'utf8'), file, token);
  } catch (error) {
    if (hasCode(error, 'data-loss')) return undefined; // never sealed for good, so never promised
    throw error;
  }
}

/** Loop devices whose image is gone. Ours only: by the folder the kernel remembers, and not in use. */
async function sweepDevices(layout: Layout, log: Logger): Promise<void> {
  for (const loop of await listLoops()) {
    const ours = [layout.volumes, layout.trash].some((folder) => loop.backingPath.startsWith(`${folder}/`));
    if (!ours || !loop.backingPath.endsWith(' (deleted)')) continue;
    if ((await mountsOfDevice(loop.devNumber)).length > 0) {
      log.warn({ device: loop.path, image: loop.backingPath }, 'a mounted loop device has lost its image');
      continue;
    }
    log.info({ device: loop.path, image: loop.backingPath }, 'detaching a loop device whose image is gone');
    await detachLoop(loop.path, undefined, loop);
  }
}
