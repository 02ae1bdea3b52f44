import { execFileSync } from 'node:child_process';
import path from 'node:path';

/** Runs one command of LVM with the configuration that a driver has in its data folder. @returns what it said */
export function lvm(dataDir: string, ...argv: readonly string[]): string {
  const env = { ...process.env, LVM_SYSTEM_DIR: path.join(dataDir, 'lvm'), DM_DISABLE_UDEV: '1' };
  // The driver's configuration is for programs.
  const plain = ['--reportformat', 'basic', '--noheadings', '--config', 'log/report_command_log=0'];
  const format = argv[0] === 'lvs' ? plain : [];
  return execFileSync('lvm', [...argv, ...format], { env, encoding: 'utf8', stdio: 'pipe' }).trim();
}

/** The name that device-mapper has for a logical volume. */
export function mappedName(group: string, ...names: readonly string[]): string {
  return [group, ...names].map((name) => name.replaceAll('-', '--')).join('-');
}

/** `thin_check` of a pool that nobody uses. @throws Error with what it found */
export function checkThinPool(dataDir: string, group: string, pool: string): void {
  lvm(dataDir, 'lvchange', '-an', `${group}/${pool}`);
  lvm(dataDir, 'lvchange', '-ay', '-y', `${group}/${pool}_tmeta`);
  execFileSync('thin_check', [`/dev/mapper/${mappedName(group, `${pool}_tmeta`)}`], { stdio: 'pipe' });
  lvm(dataDir, 'lvchange', '-an', `${group}/${pool}_tmeta`);
}
