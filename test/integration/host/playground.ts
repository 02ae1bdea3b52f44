import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { jest } from '@jest/globals';
import type { Bytes } from '../../../src/core/bytes.ts';
import type { FsType } from '../../../src/core/volume.ts';
import { makeFilesystem } from '../../../src/host/filesystem.ts';
import { openForFreeze, thawFilesystem } from '../../../src/host/freeze.ts';
import { type AttachedLoop, type AttachOptions, attachLoop, detachLoop, listLoops } from '../../../src/host/loop.ts';
import { mount, unmount } from '../../../src/host/mount.ts';
import { readMountTable } from '../../../src/host/mount-table.ts';
import { createSparseFile } from '../../../src/host/sparse-file.ts';

// Real devices on a busy machine; a detach alone may wait for five seconds.
jest.setTimeout(120_000);

/** A temporary folder that knows how to leave nothing behind: what to undo is looked up, not remembered. */
export class Playground implements AsyncDisposable {
  readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
  }

  static async open(): Promise<Playground> {
    return new Playground(await mkdtemp('/var/tmp/cofferdam-host-'));
  }

  path(...names: string[]): string {
    return join(this.folder, ...names);
  }

  async image(name: string, bytes: Bytes): Promise<string> {
    await createSparseFile(this.path(name), bytes);
    return this.path(name);
  }

  async loop(name: string, bytes: Bytes, options: Partial<AttachOptions> = {}): Promise<AttachedLoop> {
    const path = await this.image(name, bytes);
    return attachLoop({ path, readOnly: false, blockSize: 512, directIo: true, ...options });
  }

  /** A fresh filesystem on a loop device, mounted on the folder of this name. */
  async filesystem(name: string, fsType: FsType, bytes: Bytes): Promise<AttachedLoop & { readonly root: string }> {
    const device = await this.loop(`${name}.img`, bytes);
    await makeFilesystem(device.path, fsType, {});
    const root = this.path(name);
    await mkdir(root);
    await mount({ source: device.path, target: root, fsType, options: [] });
    return { ...device, root };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const inside = (path: string) => path.startsWith(`${this.folder}/`);
    const mounted = (await readMountTable()).filter(({ mountPoint }) => inside(mountPoint));
    for (const { mountPoint } of mounted.toReversed()) {
      const root = await openForFreeze(mountPoint).catch(() => undefined);
      if (root) await thawFilesystem(root.fd).catch(() => undefined);
      await root?.close();
      await unmount(mountPoint);
    }
    const loops = (await listLoops()).filter(({ backingPath }) => inside(backingPath));
    await Promise.all(loops.map(({ path }) => detachLoop(path)));
    await rm(this.folder, { recursive: true });
  }
}
