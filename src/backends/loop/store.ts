/** The index of a loop pool: its metadata files, read. */
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { isErrno } from '../../core/errors.ts';
import { PoolIndex } from '../pool-index.ts';
import { decodeCut, decodeVolume } from '../records.ts';
import { COMMITTED, type Layout, TOKEN, VOLUME_FILE } from './layout.ts';

/** Metadata files read at a time: enough to keep the thread pool busy, few enough for the descriptor limit. */
const READ_BATCH = 64;

export class Store extends PoolIndex {
  /** @throws DriverError data-loss when a committed record can't be read */
  static async load(layout: Layout): Promise<Store> {
    const store = new Store();
    const records = (await listIfThere(layout.volumes)).filter((name) => VOLUME_FILE.exec(name)?.[2] === 'json');
    await inBatches(records, async (name) => {
      const file = path.join(layout.volumes, name);
      // Gone since the folder was read: somebody looks at the pool while its owner works.
      const text = await readIfThere(file);
      if (text !== undefined) store.putVolume(decodeVolume(text, file, path.basename(name, '.json')));
    });
    const tokens = (await listIfThere(layout.cuts)).filter((name) => TOKEN.test(name));
    await inBatches(tokens, async (token) => {
      const file = path.join(layout.cut(token), COMMITTED);
      const text = await readIfThere(file);
      if (text !== undefined) store.putCut(decodeCut(text, file, token));
    });
    return store;
  }
}

async function inBatches<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  for (let i = 0; i < items.length; i += READ_BATCH) await Promise.all(items.slice(i, i + READ_BATCH).map(work));
}

async function listIfThere(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return [];
    throw error;
  }
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}
