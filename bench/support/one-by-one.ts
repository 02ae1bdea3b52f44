/** What an administrator's script does: fsfreeze, cp --reflink, fsfreeze, with the commands. */
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { run } from '../../src/host/exec.ts';

/** `each`: freeze, copy and thaw volume by volume. `all`: freeze all, copy all, thaw all, so the group is consistent. */
export type Manner = 'each' | 'all';

export interface Member {
  readonly mountPoint: string;
  readonly image: string;
  readonly copy: string;
}

// The trap thaws what a failure left frozen. Times are taken by the shell itself: a process for it would count as well.
const SCRIPT = `
set -u
manner=$1; shift
mounts=(); images=(); copies=()
while (( $# )); do mounts+=("$1"); images+=("$2"); copies+=("$3"); shift 3; done
trap 'for m in "\${mounts[@]}"; do fsfreeze -u "$m" 2>/dev/null; done' EXIT
set -e
start=$EPOCHREALTIME
if [ "$manner" = each ]; then
  for i in "\${!mounts[@]}"; do
    fsfreeze -f "\${mounts[i]}"; cp --reflink=always "\${images[i]}" "\${copies[i]}"; fsfreeze -u "\${mounts[i]}"
  done
else
  for i in "\${!mounts[@]}"; do fsfreeze -f "\${mounts[i]}"; done
  for i in "\${!mounts[@]}"; do cp --reflink=always "\${images[i]}" "\${copies[i]}"; done
  for i in "\${!mounts[@]}"; do fsfreeze -u "\${mounts[i]}"; done
fi
end=$EPOCHREALTIME
trap - EXIT
echo "$start $end"
`;

const RCU_EXPEDITED = '/sys/kernel/rcu_expedited';

/** @returns milliseconds from the first freeze call to the last thaw return */
export async function snapshotByCommands(manner: Manner, members: readonly Member[]): Promise<number> {
  const paths = members.flatMap(({ mountPoint, image, copy }) => [mountPoint, image, copy]);
  const { stdout } = await run(['bash', '-c', SCRIPT, 'bench', manner, ...paths]);
  const [start = Number.NaN, end = Number.NaN] = stdout.trim().split(' ').map(Number);
  return (end - start) * 1000;
}

/** Somebody else's round on this machine would make freezes many times faster while it lasts. */
export async function untilRcuIsNormal(): Promise<void> {
  while ((await readFile(RCU_EXPEDITED, 'utf8').catch(() => '0')).trim() !== '0') await sleep(5);
}
