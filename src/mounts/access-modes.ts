import type { AccessMode, Capability } from '../core/capability.ts';

/** Whether the volume as a whole is used read-only: by its access mode, or by `ro` among its mount flags. */
export function isReadOnly({ access, mode }: Capability): boolean {
  return (
    mode === 'SINGLE_NODE_READER_ONLY' || (access.kind === 'mount' && mountFlags(access.mountFlags).includes('ro'))
  );
}

/** ReadWriteOncePod: one target at a time. */
export function isExclusive(mode: AccessMode): boolean {
  return mode === 'SINGLE_NODE_SINGLE_WRITER';
}

/** A flag may hold several options, separated by commas. */
export function mountFlags(flags: readonly string[]): string[] {
  return flags.flatMap((flag) => flag.split(',')).map((option) => option.trim());
}
