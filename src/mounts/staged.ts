import type { Access } from '../core/capability.ts';
import { DriverError } from '../core/errors.ts';
import { asFsType, type Content, type FsType } from '../core/volume.ts';
import { differingFlags } from './mount-flags.ts';
import type { FilesystemMount, Placement } from './placement.ts';

export type MountAccess = Extract<Access, { kind: 'mount' }>;

/** Whether a volume is staged as a block device: attached, and written down as what is never formatted. */
export function isStagedAsBlock({ devices }: Pick<Placement, 'devices'>, { kind }: Content): boolean {
  return devices.length > 0 && kind !== 'blank' && kind !== 'formatting';
}

/** How it was staged: a target for readers of what is staged for writing has a second device, and not the other way. */
export function isBlockReadOnly({ devices }: Pick<Placement, 'devices'>): boolean {
  return devices.every(({ readOnly }) => readOnly);
}

/** @throws DriverError failed-precondition for a filesystem that this driver does not make */
export function requireKnown({ fsType }: Pick<FilesystemMount, 'fsType'>): FsType {
  const known = asFsType(fsType);
  if (!known) throw new DriverError('failed-precondition', `the volume is mounted as ${fsType}, which is not known`);
  return known;
}

/**
 * How a mounted filesystem is otherwise than it is asked for, read-only apart; undefined when it is as asked. To ask for
 * no type is to ask for what there is.
 */
export function howOtherwise(
  mounted: Pick<FilesystemMount, 'fsType' | 'options'>,
  { fsType, mountFlags }: MountAccess,
): string | undefined {
  const own = requireKnown(mounted);
  if (fsType !== undefined && fsType !== own) return `as ${own}, not ${fsType}`;
  const differing = differingFlags(own, mounted.options, mountFlags);
  return differing.length > 0 ? `with other mount flags (${differing.join(', ')})` : undefined;
}
