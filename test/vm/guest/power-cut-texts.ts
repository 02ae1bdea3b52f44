/** The text that a volume holds: in its first block, or in a file of the filesystem on it. */
import { open } from 'node:fs/promises';
import path from 'node:path';
import type { AttachedDevice } from '../../../src/core/backend.ts';
import type { Bytes } from '../../../src/core/bytes.ts';
import { syncFolder } from '../../../src/host/durable-file.ts';
import { unmount } from '../../../src/host/mount.ts';
import { mountAt } from '../../../src/host/mount-table.ts';
import { deviceSize, readBlock, writeBlock } from '../../contract/contract.ts';
import type { Rig } from '../../support/rig.ts';
import type { Scratch } from '../../support/scratch.ts';

const FILE = 'text';

export class Texts {
  readonly #rig: Rig;
  readonly #scratch: Scratch;

  constructor(rig: Rig, scratch: Scratch) {
    this.#rig = rig;
    this.#scratch = scratch;
  }

  /** A volume that holds this text. @returns its size */
  async make(name: string, form: 'raw' | 'ext4', text: string): Promise<Bytes> {
    if (form === 'raw') await this.#rig.rawVolume(name);
    else {
      const { mountPoint } = await this.#rig.volume(this.#scratch, name, form);
      await using _ = await open(path.join(mountPoint, FILE), 'wx');
      await syncFolder(mountPoint);
    }
    await this.write(name, text);
    return (await this.#rig.backend.getVolume(this.#rig.volumeId(name)))?.capacityBytes ?? 0n;
  }

  /** Durable when it returns. */
  async write(name: string, text: string): Promise<void> {
    await writeBlock(await this.#place(name), text);
  }

  async read(name: string): Promise<string> {
    return await readBlock(await this.#place(name));
  }

  /** Of its device. */
  async size(name: string): Promise<Bytes> {
    return await deviceSize(await this.#device(name));
  }

  /** Ends the use of the volume. */
  async close(name: string): Promise<void> {
    await unmount(this.#scratch.path(name));
    await this.#rig.backend.detach(this.#rig.volumeId(name));
  }

  async #place(name: string): Promise<AttachedDevice> {
    const kind = (await this.#rig.backend.getVolume(this.#rig.volumeId(name)))?.content.kind;
    const device = await this.#device(name);
    if (kind === 'raw') return device;
    if (kind !== 'filesystem') throw new Error(`volume ${name} is recorded as ${kind}`);
    const folder = this.#scratch.path(name);
    if (!(await mountAt(folder))) await this.#scratch.mount(name, device.path, 'ext4');
    return { ...device, path: path.join(folder, FILE) };
  }

  /** Writable also for reading: a filesystem's journal is replayed. */
  async #device(name: string): Promise<AttachedDevice> {
    return await this.#rig.backend.attach(this.#rig.volumeId(name), { readOnly: false });
  }
}
