/**
 * LVM commands, one process each, with a configuration of our own. Success is exit code 0 and nothing else: stderr
 * carries warnings then, too. Exit code 5 means anything from "not found" to "has that size already", so whoever calls
 * looks (`list`) before it concludes.
 */
import { mkdir, realpath, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Bytes } from '../../core/bytes.ts';
import { DriverError } from '../../core/errors.ts';
import { run } from '../exec.ts';
import { lvmConfig } from './config.ts';

/** Long: removing a large thin volume, checking a large pool. */
const COMMAND_MS = 300_000;

export interface LogicalVolume {
  readonly name: string;
  readonly sizeBytes: Bytes;
  readonly tags: readonly string[];
  readonly isThinPool: boolean;
  /** Of its pool; undefined for what is not a thin volume of a pool. */
  readonly poolName: string | undefined;
  /** Its id in the pool's own metadata. */
  readonly thinId: number | undefined;
  /** Of a pool: how many changes LVM has made to it. */
  readonly transactionId: bigint;
}

export interface VolumeGroup {
  readonly extentBytes: Bytes;
  readonly freeBytes: Bytes;
  /** Paths of its physical volumes. */
  readonly devices: readonly string[];
}

export class Lvm {
  readonly group: string;
  readonly #folder: string;

  private constructor(group: string, folder: string) {
    this.group = group;
    this.#folder = folder;
  }

  /**
   * @param folder for the configuration; made when missing
   * @throws DriverError failed-precondition when there is no such group
   */
  static async open(group: string, folder: string): Promise<Lvm> {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const lvm = new Lvm(group, folder);
    await lvm.#configure();
    const { devices } = await lvm.describe();
    await lvm.#configure(devices);
    return lvm;
  }

  /** @throws DriverError failed-precondition when the group is not there */
  async describe(): Promise<VolumeGroup> {
    const rows = await this.#report('pv', ['pvs', '-o', 'pv_name,vg_name,vg_extent_size,vg_free']);
    const own = rows.filter((row) => row.vg_name === this.group);
    const [first] = own;
    if (!first) {
      const reason = `there is no volume group ${this.group}; make one on an empty disk: vgcreate --metadatasize 64m ${this.group} /dev/...`;
      throw new DriverError('failed-precondition', reason);
    }
    return {
      extentBytes: BigInt(first.vg_extent_size ?? 0),
      freeBytes: BigInt(first.vg_free ?? 0),
      devices: await Promise.all(own.map((row) => realpath(row.pv_name ?? ''))),
    };
  }

  /** Every logical volume of the group, hidden ones not. @param names only these; those that are not there are left out */
  async list(names?: readonly string[]): Promise<readonly LogicalVolume[]> {
    if (names?.length === 0) return [];
    const select = names ? ['-S', names.map((name) => `lv_name="${name}"`).join('||')] : [];
    const fields = 'lv_name,lv_size,lv_tags,lv_attr,pool_lv,thin_id,transaction_id';
    const rows = await this.#report('lv', ['lvs', ...select, '-o', fields, this.group]);
    return rows.map((row) => ({
      name: row.lv_name ?? '',
      sizeBytes: BigInt(row.lv_size ?? 0),
      tags: row.lv_tags ? row.lv_tags.split(',') : [],
      isThinPool: row.lv_attr?.startsWith('t') ?? false,
      poolName: row.pool_lv || undefined,
      thinId: row.thin_id ? Number(row.thin_id) : undefined,
      transactionId: BigInt(row.transaction_id || 0),
    }));
  }

  /** Runs one command, such as `['lvremove', 'group/name']`. @throws CommandError with what LVM said */
  async run(argv: readonly string[]): Promise<string> {
    const { stdout } = await run(['lvm', ...argv], {
      timeoutMs: COMMAND_MS,
      env: {
        LVM_SYSTEM_DIR: this.#folder,
        LVM_SUPPRESS_FD_WARNINGS: '1',
        // Where udev runs, libdevmapper would else wait for it.
        DM_DISABLE_UDEV: '1',
      },
    });
    return stdout;
  }

  /** `group/name` */
  pathOf(name: string): string {
    return `${this.group}/${name}`;
  }

  /** The name that device-mapper has for it: hyphens doubled, one between group and volume. */
  deviceName(name: string, layer?: 'tpool'): string {
    const double = (part: string) => part.replaceAll('-', '--');
    return `${double(this.group)}-${double(name)}${layer ? `-${layer}` : ''}`;
  }

  async #configure(devices?: readonly string[]): Promise<void> {
    await writeFile(path.join(this.#folder, 'lvm.conf'), lvmConfig(devices), { mode: 0o600 });
  }

  async #report(kind: 'lv' | 'pv', argv: readonly string[]): Promise<readonly Readonly<Record<string, string>>[]> {
    const [command = '', ...args] = argv;
    const format = ['--reportformat', 'json', '--units', 'b', '--nosuffix'];
    const { report } = JSON.parse(await this.run([command, ...format, ...args])) as {
      readonly report: readonly Readonly<Record<string, readonly Readonly<Record<string, string>>[]>>[];
    };
    return report.flatMap((part) => part[kind] ?? []);
  }
}
