/** The command lines of qemu and virtiofsd, and why they are as they are. */
import path from 'node:path';
import { ROOT } from '../support/command.ts';
import type { Kernel } from './kernel.ts';

/** Debian 12 keeps it there (qemu-system-common). */
const VIRTIOFSD = '/usr/lib/qemu/virtiofsd';

/** In the folder of a machine. */
export const SOCKETS = { agent: 'agent.sock', root: 'root.sock' } as const;

export type Accelerator = 'kvm' | 'tcg';

export interface MachineShape {
  readonly accelerator: Accelerator;
  readonly memoryMiB: number;
  readonly cpus: number;
  /** What becomes /dev/vda, /dev/vdb, ...: raw files (sparse ones stay sparse), or `nbd+unix:` URLs. */
  readonly disks: readonly string[];
}

export const DEFAULT_SHAPE: MachineShape = { accelerator: 'tcg', memoryMiB: 1024, cpus: 1, disks: [] };

// Emulated: a processor without AVX, whose emulation is slow, but with a source of random numbers; and a translation
// buffer that holds the whole of Node.js.
const ACCELERATORS: Readonly<Record<Accelerator, readonly string[]>> = {
  kvm: ['-accel', 'kvm', '-cpu', 'host'],
  tcg: ['-accel', 'tcg,thread=multi,tb-size=512', '-cpu', 'Nehalem,+rdrand'],
};

export function virtiofsdArguments(socket: string): readonly string[] {
  // Its own thread pool calls what its own seccomp filter kills it for (QEMU 7.2 on Debian 12): no pool.
  const threads = '--thread-pool-size=0';
  return [VIRTIOFSD, `--socket-path=${socket}`, '-o', 'source=/,cache=always,sandbox=chroot,no_posix_lock', threads];
}

export function qemuArguments(folder: string, kernel: Kernel, shape: MachineShape): readonly string[] {
  const { accelerator, memoryMiB, cpus, disks } = shape;
  return [
    'qemu-system-x86_64',
    ...['-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot'],
    // virtiofsd reads and writes the guest's memory.
    ...['-M', 'q35,memory-backend=memory', '-m', String(memoryMiB), '-smp', String(cpus)],
    ...['-object', `memory-backend-memfd,id=memory,size=${memoryMiB}M,share=on`],
    ...ACCELERATORS[accelerator],
    ...['-kernel', kernel.image, '-initrd', kernel.initramfs, '-append', kernelParameters(kernel)],
    ...['-serial', `file:${path.join(folder, 'console')}`],
    ...['-device', 'virtio-serial-pci', '-device', 'virtio-rng-pci'],
    ...['-chardev', `socket,id=agent,path=${path.join(folder, SOCKETS.agent)}`],
    ...['-device', 'virtserialport,chardev=agent,name=agent'],
    ...['-chardev', `socket,id=root,path=${path.join(folder, SOCKETS.root)}`],
    ...['-device', 'vhost-user-fs-pci,queue-size=1024,chardev=root,tag=host'],
    ...disks.flatMap(diskArguments),
  ];
}

function diskArguments(file: string, index: number): readonly string[] {
  // In a file, what the guest was told is written is in this machine's page cache: it survives a qemu that is killed,
  // flushed or not. From an NBD server the guest gets its flushes (see forgetful-disk.ts); `unsafe` would drop them.
  const cache = file.startsWith('nbd') ? 'cache=writeback,discard=ignore' : 'cache=unsafe,aio=threads,discard=unmap';
  const drive = `file=${file},if=none,id=disk${index},format=raw,${cache}`;
  return ['-drive', drive, '-device', `virtio-blk-pci,drive=disk${index},serial=disk${index}`];
}

function kernelParameters({ modules }: Kernel): string {
  return [
    'console=ttyS0 loglevel=3 panic=-1', // a panic ends qemu (-no-reboot); a failing disk's errors would take minutes
    'mitigations=off nokaslr tsc=reliable random.trust_cpu=on cryptomgr.notests',
    `vm.modules=${modules}`,
    `vm.node=${process.execPath}`,
    `vm.agent=${path.join(ROOT, 'test/vm/guest/agent.ts')}`,
  ].join(' ');
}
