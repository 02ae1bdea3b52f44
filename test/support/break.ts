/** Breaks a mounted filesystem as an I/O error would. */
import { execFileSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { basename } from 'node:path';

/** Nothing in it can be reached any more, until it is mounted anew; ext4 or xfs. */
export function shutDown(mountPoint: string): void {
  execFileSync('xfs_io', ['-x', '-c', 'shutdown', mountPoint], { stdio: 'pipe' });
}

/** ext4 finds an error, and does about it what it was mounted for (`errors=`). @param device `/dev/loop7` */
export async function makeExt4Error(device: string): Promise<void> {
  await writeFile(`/sys/fs/ext4/${basename(device)}/trigger_fs_error`, 'made by a test');
}
