import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { open, rename, rm, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { allSettled } from '../core/concurrency.ts';
import { isErrno } from '../core/errors.ts';
import { failpoint } from '../core/failpoint.ts';
import { syncfs } from './libc.ts';

const DONE: Promise<unknown> = Promise.resolve();

/**
 * Writes a whole file so that a crash at any line leaves the old content or the new, never a part; it is on disk when
 * this returns. A crash may leave `.<name>.<random>.tmp` behind, which means nothing.
 * @param first what must be done before the file has its name; it goes on at the same time as the writing
 */
export async function writeFileDurably(path: string, text: string, first = DONE): Promise<void> {
  await writeFileWhole(path, text, first);
  await syncFolder(dirname(path));
}

/** The same, except that a power cut may take the file's name away until its folder is synced. */
export async function writeFileWhole(path: string, text: string, first = DONE): Promise<void> {
  const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}.tmp`);
  try {
    // Before the rename, or the new name could be on disk before the content is.
    await allSettled([writeAndSync(temporary, text), first]);
    await failpoint('file.written');
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await failpoint('file.named');
}

async function writeAndSync(path: string, text: string): Promise<void> {
  await using file = await open(path, 'wx', 0o600);
  await file.writeFile(text);
  await file.sync();
}

/**
 * Renames within one filesystem, replacing; both folders are on disk when this returns.
 * @param more folders that are synced at the same time
 */
export async function renameDurably(from: string, to: string, more: readonly string[] = []): Promise<void> {
  await rename(from, to);
  await failpoint('file.renamed');
  // The new place first: better twice than nowhere.
  await syncFolders([dirname(to), ...more]);
  if (dirname(from) !== dirname(to)) await syncFolder(dirname(from));
}

/** @returns false when there was nothing to remove; its absence is on disk either way */
export async function unlinkDurably(path: string): Promise<boolean> {
  let existed = true;
  try {
    await unlink(path);
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
    existed = false;
  }
  await failpoint('file.unlinked');
  await syncFolder(dirname(path));
  return existed;
}

/** Puts a folder's names on disk (fsync of the folder). */
export async function syncFolder(path: string): Promise<void> {
  await using folder = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
  await folder.sync();
}

/** The same of several, at the same time. */
export async function syncFolders(paths: readonly string[]): Promise<void> {
  await allSettled(paths.map(syncFolder));
}

/** Puts a file's content and size on disk (fsync); any descriptor of the file will do. */
export async function syncFile(path: string): Promise<void> {
  await using file = await open(path, constants.O_RDONLY);
  await file.sync();
}

/** Puts everything in the filesystem that holds `path` on disk (syncfs). */
export async function syncFilesystem(path: string): Promise<void> {
  await using folder = await open(path, constants.O_RDONLY);
  await syncfs(folder.fd);
}
