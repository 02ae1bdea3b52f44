/**
 * What a run of tests left behind on this machine.
 *
 * A run works below one folder of its own, which is also the TMPDIR of all it starts. So what is ours is told from what
 * belongs to others by that folder: in a mount point, in the file behind a loop device, in a process's environment.
 * The guard has an environment without it; a guard that outlived its agent is known by its parent.
 * Pools are made in /var/tmp, because /tmp may be in memory. What is new there, temporary drivers and their networks, loop
 * devices whose image is gone, and the RCU switch are looked at only while nobody else runs Cofferdam or its tests here: they could be theirs.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ROOT } from './command.ts';

const SHARED_PLACE = '/var/tmp';
/** Of temporary drivers and clusters (`demo`, `prove`). */
const RUNS = '/var/lib/cofferdam-runs';
const NETWORKS = '/run/netns';
const OUR_PROGRAM = /(^|\/)(jest\.js|(src|dist|test|bench)\/(.+\/)?(main|run)\.(ts|js))$/;
/** One that has an agent goes with it, and that one counts; one that has none makes nothing any more. */
const GUARD = /\/fence\/guard\/main\.(ts|js)$/;
const RCU_EXPEDITED = '/sys/kernel/rcu_expedited';
/** Loop devices detach, and killed processes end, a little later than the call that asked for it returns. */
const GRACE_MS = 10_000;

interface LoopDevice {
  readonly device: string;
  readonly file: string;
}

interface Leftovers {
  readonly processes: readonly number[];
  readonly mounts: readonly string[];
  readonly loops: readonly LoopDevice[];
  readonly files: readonly string[];
  readonly rcuRaised: boolean;
}

export class Traces {
  readonly folder: string;
  readonly #loopsBefore = new Set(loopDevices().map(({ device }) => device));
  readonly #processesBefore = new Set(processes());
  readonly #sharedBefore = new Set(sharedFolders());
  readonly #rcuBefore = rcuExpedited();

  constructor(folder: string) {
    this.folder = folder;
  }

  /** One line for each thing that is still there, after a moment of grace. */
  async find(graceMs = GRACE_MS): Promise<readonly string[]> {
    const end = performance.now() + graceMs;
    for (;;) {
      const lines = describe(this.#look());
      if (lines.length === 0 || performance.now() > end) return lines;
      await sleep(200);
    }
  }

  /** Ends, thaws, unmounts, detaches and deletes what is below our folder: nothing else is certainly ours. */
  clean(): void {
    const below = (place: string) => isBelow(this.folder, place);
    for (const pid of processes().filter((id) => this.#started(id))) attempt(() => process.kill(pid, 'SIGKILL'));
    // The last mounted first; thawed first, because an unmounted frozen filesystem keeps its device for ever.
    for (const mount of mountPoints().filter(below).toReversed()) {
      attempt(() => execFileSync('fsfreeze', ['--unfreeze', mount], { stdio: 'ignore' }));
      attempt(() => execFileSync('umount', [mount], { stdio: 'ignore' }));
    }
    for (const { device } of loopDevices().filter(({ file }) => below(file)))
      attempt(() => execFileSync('losetup', ['--detach', device], { stdio: 'ignore' }));
    // Never through a mount: what is mounted may be somebody's data.
    if (!mountPoints().some(below)) attempt(() => rmSync(this.folder, { recursive: true, force: true }));
  }

  #started(pid: number): boolean {
    return hasVariable(pid, `TMPDIR=${this.folder}`);
  }

  #look(): Leftovers {
    const ours = processes().filter(
      (pid) => this.#started(pid) || (!this.#processesBefore.has(pid) && isOrphanOfOurs(pid)),
    );
    const alone = othersAtWork(ours).length === 0;
    const shared = alone ? sharedFolders().filter((folder) => !this.#sharedBefore.has(folder)) : [];
    const roots = [this.folder, ...shared];
    return {
      processes: ours,
      mounts: mountPoints().filter((mount) => roots.some((root) => isBelow(root, mount))),
      loops: loopDevices().filter(
        ({ device, file }) =>
          roots.some((root) => isBelow(root, file)) ||
          // Its pool was unmounted lazily or its image deleted: the path means nothing any more.
          (alone && !this.#loopsBefore.has(device) && !existsSync(file)),
      ),
      files: [...filesIn(this.folder), ...shared],
      rcuRaised: alone && this.#rcuBefore === '0' && rcuExpedited() !== '0',
    };
  }
}

/** Folders of temporary drivers and of tests, and the networks of temporary clusters. */
function sharedFolders(): readonly string[] {
  const ours = (folder: string, prefix: string) =>
    filesIn(folder)
      .filter((name) => name.startsWith(prefix))
      .map((name) => path.join(folder, name));
  return [...ours(RUNS, 'run-'), ...ours(NETWORKS, 'cofferdam-'), ...ours(SHARED_PLACE, 'cofferdam-')];
}

/** Processes that run Cofferdam or its tests, for somebody else. */
export function othersAtWork(ours: readonly number[]): readonly number[] {
  const known = new Set([...ours, ...ancestors()]);
  return processes().filter((pid) => {
    const program = programOf(pid) ?? '';
    return !known.has(pid) && OUR_PROGRAM.test(program) && !GUARD.test(program);
  });
}

function ancestors(): readonly number[] {
  const found: number[] = [];
  for (let pid = process.ppid; pid > 1 && !found.includes(pid); pid = parentOf(pid)) found.push(pid);
  return found;
}

function parentOf(pid: number): number {
  return Number(/^PPid:\s(\d+)$/m.exec(readProc(pid, 'status'))?.[1] ?? 0);
}

function filesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return []; // not there, or not ours to read
  }
}

function isBelow(folder: string, place: string): boolean {
  return place === folder || place.startsWith(`${folder}/`);
}

function describe({ processes, mounts, loops, files, rcuRaised }: Leftovers): readonly string[] {
  return [
    ...processes.map((pid) => `process ${pid}: ${commandLine(pid)}`),
    ...mounts.map((mount) => `mount ${mount}${isFrozen(mount) ? ', frozen' : ''}`),
    ...loops.map(({ device, file }) => `loop device ${device}: ${file}`),
    ...files.map((name) => `temporary file ${name}`),
    ...(rcuRaised ? [`${RCU_EXPEDITED} is still raised`] : []),
  ];
}

function attempt(action: () => unknown): void {
  try {
    action();
  } catch {
    // Best effort: what is still there is looked at and told afterwards.
  }
}

function processes(): readonly number[] {
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => pid > 0 && pid !== process.pid);
}

function hasVariable(pid: number, variable: string): boolean {
  return readProc(pid, 'environ').split('\0').includes(variable);
}

/** A Node process of this checkout that no Node process looks after. */
function isOrphanOfOurs(pid: number): boolean {
  const ours = programOf(pid)?.startsWith(path.join(ROOT, 'src/')) ?? false;
  return ours && programOf(parentOf(pid)) === undefined;
}

/** What a Node process runs, past the flags of Node itself; undefined for any other process. */
function programOf(pid: number): string | undefined {
  const [file = '', ...args] = readProc(pid, 'cmdline').split('\0');
  return path.basename(file) === 'node' ? (args.find((argument) => !argument.startsWith('-')) ?? '') : undefined;
}

function commandLine(pid: number): string {
  return readProc(pid, 'cmdline').replaceAll('\0', ' ').trim() || readProc(pid, 'comm').trim();
}

function readProc(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return ''; // it has just ended, or is not ours to read
  }
}

function mountPoints(): readonly string[] {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .filter(Boolean)
    .map((line) => (line.split(' ')[4] ?? '').replace(/\\(\d{3})/g, (_, octal: string) => charOf(octal)));
}

function charOf(octal: string): string {
  return String.fromCharCode(Number.parseInt(octal, 8));
}

function isFrozen(mount: string): boolean {
  try {
    // A second freeze is refused; there is no way just to ask.
    execFileSync('fsfreeze', ['--freeze', mount], { stdio: 'ignore' });
    execFileSync('fsfreeze', ['--unfreeze', mount], { stdio: 'ignore' });
    return false;
  } catch {
    return true;
  }
}

function loopDevices(): readonly LoopDevice[] {
  if (!existsSync('/sys/block')) return [];
  return readdirSync('/sys/block')
    .filter((name) => name.startsWith('loop'))
    .flatMap((name) => {
      try {
        const file = readFileSync(path.join('/sys/block', name, 'loop/backing_file'), 'utf8').trimEnd();
        return [{ device: `/dev/${name}`, file }];
      } catch {
        return []; // not attached
      }
    });
}

function rcuExpedited(): string {
  return existsSync(RCU_EXPEDITED) ? readFileSync(RCU_EXPEDITED, 'utf8').trim() : '';
}
