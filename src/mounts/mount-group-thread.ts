/**
 * The thread of one walk over a tree (mount-group.ts): blocking calls one after the other, which are some twenty times as
 * quick as asynchronous ones, and leave the event loop alone.
 *
 * The tree may be in use by a workload that is not trusted: every step goes through a descriptor of the folder, so that a
 * name swapped for a symbolic link leads nowhere. One folder is open at a time: so the number of descriptors does not
 * depend on the tree.
 */
import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  fstatSync,
  lchownSync,
  lstatSync,
  opendirSync,
  openSync,
} from 'node:fs';
import { workerData } from 'node:worker_threads';
import { isErrno } from '../core/errors.ts';
import { FILE_BITS, FOLDER_BITS, isGroupOwned } from './group-owned.ts';

export interface MountGroupThreadData {
  /** Descriptor of the root, which the owner of the thread keeps open. */
  readonly root: number;
  readonly gid: number;
  /** One word: not 0 means stop. */
  readonly memory: SharedArrayBuffer;
}

/** Of the root: without a parent. */
interface Folder {
  readonly name: string;
  readonly parent: Folder | undefined;
  /** Once it was entered. */
  inode?: number;
}

const FOLDER = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
/** fcntl.h, O_PATH: the thing itself, whatever it is; a device or a pipe that is really opened does things. */
const ANYTHING = 0x200000 | constants.O_NOFOLLOW;
const SET_GROUP_ID = 0o2000;
/** Names are bytes: one character for each. */
const ENCODING = 'latin1';

class Walk {
  readonly #root: number;
  readonly #gid: number;
  readonly #device: number;
  readonly #stop: Int32Array;
  readonly #waiting: Folder[] = [];
  /** Where the walk is, open. */
  #at: Folder;
  #fd: number;

  constructor({ root, gid, memory }: MountGroupThreadData) {
    this.#root = root;
    this.#gid = gid;
    this.#device = fstatSync(root).dev;
    this.#stop = new Int32Array(memory);
    this.#fd = openIn(root, '.', FOLDER);
    this.#at = { name: '.', parent: undefined, inode: fstatSync(root).ino };
  }

  run(): void {
    // While the tree is changed its root is nobody's, or it would still say of the group before that all is that group's.
    chmodSync(pathOf(this.#root), fstatSync(this.#root).mode & 0o7777 & ~SET_GROUP_ID);
    this.#giveChildren();
    for (let folder = this.#waiting.pop(); folder && !this.#stopped; folder = this.#waiting.pop()) {
      const next = folder;
      unlessGone(() => {
        this.#enter(next);
        this.#giveChildren();
      });
    }
    if (!this.#stopped) this.#give(this.#root);
  }

  get #stopped(): boolean {
    return Atomics.load(this.#stop, 0) !== 0;
  }

  #giveChildren(): void {
    using entries = opendirSync(pathOf(this.#fd), { encoding: ENCODING, bufferSize: 256 });
    for (let entry = entries.readSync(); entry && !this.#stopped; entry = entries.readSync()) {
      const { name } = entry;
      unlessGone(() => this.#giveEntry(name));
    }
  }

  #giveEntry(name: string): void {
    const path = pathIn(this.#fd, name);
    const seen = lstatSync(path);
    // Another filesystem that the workload can't have mounted here is none of this volume's.
    if (seen.dev !== this.#device) return;
    if (!seen.isDirectory() && !seen.isFile()) {
      if (seen.gid !== this.#gid) lchownSync(path, seen.uid, this.#gid);
      return;
    }
    if (!isGroupOwned(seen, this.#gid, seen.isDirectory() ? FOLDER_BITS : FILE_BITS)) {
      const fd = openSync(path, ANYTHING);
      try {
        this.#give(fd);
      } finally {
        closeSync(fd);
      }
    }
    if (seen.isDirectory()) this.#waiting.push({ name, parent: this.#at });
  }

  #give(fd: number): void {
    const found = fstatSync(fd);
    if (!found.isDirectory() && !found.isFile()) return;
    const bits = found.isDirectory() ? FOLDER_BITS : FILE_BITS;
    if (isGroupOwned(found, this.#gid, bits)) return;
    chownSync(pathOf(fd), found.uid, this.#gid);
    // After the chown, which takes set-user-id and set-group-id away.
    chmodSync(pathOf(fd), (found.mode & 0o7777) | bits);
  }

  /** What waits last is in the folder where the walk is, or in one above it. */
  #enter(folder: Folder): void {
    const { parent } = folder;
    if (parent && !this.#climbTo(parent)) this.#descendTo(parent);
    this.#move(openIn(this.#fd, folder.name, FOLDER), folder);
    folder.inode = fstatSync(this.#fd).ino;
  }

  /** @returns false when it is not above: somebody has moved a folder */
  #climbTo(folder: Folder): boolean {
    while (this.#at !== folder) {
      const { parent } = this.#at;
      if (!parent) return false;
      this.#move(openIn(this.#fd, '..', FOLDER), parent);
      if (fstatSync(this.#fd).ino !== parent.inode) return false;
    }
    return true;
  }

  /** From the root, a step at a time: of a longer path, only the last name would not be followed. */
  #descendTo(folder: Folder): void {
    const path: Folder[] = [];
    for (let at: Folder | undefined = folder; at; at = at.parent) path.push(at);
    let above = this.#root;
    for (const next of path.toReversed()) {
      this.#move(openIn(above, next.name, FOLDER), next);
      above = this.#fd;
      next.inode = fstatSync(this.#fd).ino;
    }
  }

  #move(fd: number, to: Folder): void {
    closeSync(this.#fd);
    this.#fd = fd;
    this.#at = to;
  }
}

function openIn(folder: number, name: string, flags: number): number {
  return openSync(pathIn(folder, name), flags);
}

/** Leads to what is open, whatever is in its place by now. */
function pathOf(fd: number): string {
  return `/proc/self/fd/${fd}`;
}

function pathIn(folder: number, name: string): Buffer {
  return Buffer.from(`${pathOf(folder)}/${name}`, ENCODING);
}

/** What is removed or swapped meanwhile, by whoever uses the volume, is left out. */
function unlessGone(work: () => void): void {
  try {
    work();
  } catch (error) {
    if (!isErrno(error, 'ENOENT', 'ELOOP', 'ENOTDIR')) throw error;
  }
}

new Walk(workerData as MountGroupThreadData).run();
