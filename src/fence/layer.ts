/** The two kinds of layers that a fence stops, behind one interface: for the guard, for the agent, and for recovery. */
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import type { FenceLayer } from '../core/backend.ts';
import { DriverError } from '../core/errors.ts';
import { DeviceMapper } from '../host/device-mapper.ts';
import { freezeFilesystem, thawFilesystem } from '../host/freeze.ts';
import { syncfs } from '../host/libc.ts';
import { openMounted } from './mounted.ts';

/** Everything that stopping and letting go needs is open already: neither needs a path, or memory, or luck. */
export interface OpenLayer {
  /** Writes back what is dirty, outside the window. */
  writeBack(): Promise<void>;
  /** @throws SystemError EBUSY when somebody else holds it */
  stop(): Promise<void>;
  /** @returns false when it was not stopped any more */
  letGo(): Promise<boolean>;
  close(): Promise<void>;
}

/** @throws DriverError failed-precondition when there is something else by now where it was looked up */
export async function openLayer(layer: FenceLayer): Promise<OpenLayer> {
  return layer.kind === 'filesystem' ? new FilesystemLayer(await openMounted(layer)) : await DeviceLayer.open(layer);
}

class FilesystemLayer implements OpenLayer {
  readonly #root: FileHandle;

  constructor(root: FileHandle) {
    this.#root = root;
  }

  async writeBack(): Promise<void> {
    await syncfs(this.#root.fd);
  }

  async stop(): Promise<void> {
    await freezeFilesystem(this.#root.fd);
  }

  async letGo(): Promise<boolean> {
    return await thawFilesystem(this.#root.fd);
  }

  async close(): Promise<void> {
    await this.#root.close();
  }
}

class DeviceLayer implements OpenLayer {
  readonly #mapper: DeviceMapper;
  /** What is open can neither be removed nor given to another name. */
  readonly #device: FileHandle;
  readonly #name: string;
  readonly #lockFs: boolean;

  private constructor(mapper: DeviceMapper, device: FileHandle, name: string, lockFs: boolean) {
    this.#mapper = mapper;
    this.#device = device;
    this.#name = name;
    this.#lockFs = lockFs;
  }

  static async open({ name, devNumber, lockFs }: FenceLayer & { kind: 'device' }): Promise<DeviceLayer> {
    await using opened = new AsyncDisposableStack();
    const mapper = opened.use(await DeviceMapper.open());
    const device = opened.use(await open(`/dev/dm-${devNumber.split(':')[1]}`, constants.O_RDONLY));
    if ((await mapper.find(name))?.devNumber !== devNumber) {
      throw new DriverError('failed-precondition', `${name} is no longer the device ${devNumber}`);
    }
    opened.move();
    return new DeviceLayer(mapper, device, name, lockFs);
  }

  /** The pages of the device itself; those of a filesystem on it are for the layer above. */
  async writeBack(): Promise<void> {
    await this.#device.sync();
  }

  async stop(): Promise<void> {
    // Suspending what is suspended succeeds: it would not be ours to resume.
    if ((await this.#mapper.find(this.#name))?.suspended) {
      throw Object.assign(new Error(`${this.#name} is suspended already`), { code: 'EBUSY' });
    }
    await this.#mapper.suspend(this.#name, { lockFs: this.#lockFs });
  }

  async letGo(): Promise<boolean> {
    return await this.#mapper.resume(this.#name);
  }

  async close(): Promise<void> {
    await this.#device.close();
    await this.#mapper[Symbol.asyncDispose]();
  }
}
