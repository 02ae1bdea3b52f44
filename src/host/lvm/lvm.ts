/**
 * LVM commands, with a configuration of our own. Success is exit code 0 and nothing else: stderr carries warnings then,
 * too. Exit code 5 means anything from "not found" to "has that size already", so whoever calls
 * looks (`list`) before it concludes.
 */
import { mkdir, readFile, realpath, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Bytes } from '../../core/bytes.ts';
import { DriverError } from '../../core/errors.ts';
import { syncFile } from '../durable-file.ts';
import { run } from '../exec.ts';
import { lvmConfig } from './config.ts';
import { parseReport, type Report, type ReportRow } from './report.ts';
import { LvmShell } from './shell.ts';

/** Long: removing a large thin volume, checking a large pool. */
const COMMAND_MS = 300_000;

export interface LogicalVolume {
  readonly name: string;
  readonly sizeBytes: Bytes;
  readonly tags: readonly string[];
  readonly isThinPool: boolean;
  /** The pool of a thin volume; undefined for anything else. */
  readonly poolName: string | undefined;
  /** Its id in the pool's own metadata. */
  readonly thinId: number | undefined;
  /** A pool's: how many changes LVM has made to it. */
  readonly transactionId: bigint;
}

export interface VolumeGroup {
  readonly extentBytes: Bytes;
  readonly freeBytes: Bytes;
  /** Paths of its physical volumes. */
  readonly devices: readonly string[];
}

export class Lvm implements AsyncDisposable {
  readonly group: string;
  readonly #folder: string;
  /** Physical volumes of the group. */
  #devices: readonly string[] = [];
  #starting: Promise<LvmShell> | undefined;

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
    lvm.#devices = (await lvm.describe()).devices;
    await lvm.#configure(lvm.#devices);
    // The one that was started without the filter.
    await lvm[Symbol.asyncDispose]();
    return lvm;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const starting = this.#starting;
    this.#starting = undefined;
    await (await starting?.catch(() => undefined))?.[Symbol.asyncDispose]();
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

  /** Every logical volume of the group that is not hidden. */
  async list(): Promise<readonly LogicalVolume[]> {
    // Nothing that asks the kernel for each of them.
    const fields = 'lv_name,lv_size,lv_tags,segtype,pool_lv,thin_id,transaction_id';
    const rows = await this.#report('lv', ['lvs', '-o', fields, this.group]);
    return rows.map((row) => ({
      name: row.lv_name ?? '',
      sizeBytes: BigInt(row.lv_size ?? 0),
      tags: row.lv_tags ? row.lv_tags.split(',') : [],
      isThinPool: row.segtype === 'thin-pool',
      poolName: row.pool_lv || undefined,
      thinId: row.thin_id ? Number(row.thin_id) : undefined,
      transactionId: BigInt(row.transaction_id || 0),
    }));
  }

  /** Undefined when there is none of this name. */
  async find(name: string): Promise<LogicalVolume | undefined> {
    return (await this.list()).find((volume) => volume.name === name);
  }

  /** Whether a command has written down what it wanted of the kernel, for a thin pool, and has not struck it off. */
  async hasQueuedMessages(): Promise<boolean> {
    const file = path.join(this.#folder, 'group.vg');
    await this.#execute(['vgcfgbackup', '-f', file, this.group]);
    return /^\s*message\d+ \{$/m.test(await readFile(file, 'utf8'));
  }

  /**
   * Runs one command, such as `['lvremove', 'group/name']`. What it changed survives a power cut when this returns: LVM
   * itself writes its metadata past the page cache, and leaves it in the cache of the disk.
   * @throws CommandError with what LVM said
   */
  async run(argv: readonly string[]): Promise<void> {
    await this.#execute(argv);
    await Promise.all(this.#devices.map(syncFile));
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

  async #report(kind: 'lv' | 'pv', [command = '', ...args]: readonly string[]): Promise<readonly ReportRow[]> {
    const report = await this.#execute([command, '--units', 'b', '--nosuffix', ...args]);
    return report.flatMap((part) => part[kind] ?? []);
  }

  /** In the shell when it is free, else in a process of its own: LVM's locks make them wait for each other. */
  async #execute(argv: readonly string[]): Promise<Report> {
    const shell = LvmShell.takes(argv) ? await this.#shell() : undefined;
    if (shell?.free) return await shell.execute(argv, COMMAND_MS);
    const { stdout } = await run(['lvm', ...argv], { timeoutMs: COMMAND_MS, env: this.#env });
    return parseReport(stdout);
  }

  /** Undefined when there is none to be had. */
  async #shell(): Promise<LvmShell | undefined> {
    this.#starting ??= LvmShell.start(this.#env);
    const starting = this.#starting;
    const shell = await starting.catch(() => undefined);
    if (shell?.alive) return shell;
    // The next command starts another.
    if (this.#starting === starting) this.#starting = undefined;
    return undefined;
  }

  get #env(): Readonly<Record<string, string>> {
    return {
      LVM_SYSTEM_DIR: this.#folder,
      LVM_SUPPRESS_FD_WARNINGS: '1',
      // Where udev runs, libdevmapper would else wait for it.
      DM_DISABLE_UDEV: '1',
    };
  }
}
