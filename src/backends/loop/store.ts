/** The index of a loop pool: its metadata files, read. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { isErrno } from '../../core/errors.ts';
import { isRoundToken } from '../../core/round.ts';
import { PoolIndex } from '../pool-index.ts';
import { decodeCut, decodeVolume } from '../records.ts';
import { COMMITTED, type Layout, VOLUME_FILE } from './layout.ts';

export class Store extends PoolIndex {
  /**
   * Reads without a thread: nothing else goes on at a start, and thousands of small files take a quarter of the time.
   * @throws DriverError data-loss when a committed record can't be read
   */
  static load(layout: Layout): Store {
    const store = new Store();
    for (const name of listIfThere(layout.volumes)) {
      if (VOLUME_FILE.exec(name)?.[2] !== 'json') continue;
      const file = path.join(layout.volumes, name);
      // Gone since the folder was read: somebody looks at the pool while its owner works.
      const text = readIfThere(file);
      if (text !== undefined) store.putVolume(decodeVolume(text, file, path.basename(name, '.json')));
    }
    for (const token of listIfThere(layout.cuts)) {
      if (!isRoundToken(token)) continue;
      const file = path.join(layout.cut(token), COMMITTED);
      const text = readIfThere(file);
      if (text !== undefined) store.putCut(decodeCut(text, file, token));
    }
    return store;
  }
}

function listIfThere(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return [];
    throw error;
  }
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}
