import type { Access } from '../core/capability.ts';
import { DriverError } from '../core/errors.ts';
import { asFsType, type FsType } from '../core/volume.ts';
import { differingFlags } from './mount-flags.ts';
import type { FilesystemMount } from './placement.ts';

export type MountAccess = Extract<Access, { kind: 'mount' }>;

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
