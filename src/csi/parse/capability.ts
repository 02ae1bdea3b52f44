import type { Access, AccessMode, Capability } from '../../core/capability.ts';
import { DriverError, type ErrorCode, invalidArgument } from '../../core/errors.ts';
import { type AccessType, asFsType, FS_TYPES, type FsType } from '../../core/volume.ts';
import type { VolumeCapability__Output } from '../../gen/csi/v1/VolumeCapability.ts';
import { parseMountFlags } from './mount-flags.ts';

/** Well formed, but perhaps nothing that a local volume can give: what that means depends on the RPC. */
export type ParsedCapability =
  | { readonly kind: 'supported'; readonly capability: Capability }
  /** `reason` begins with the field's name. */
  | { readonly kind: 'unsupported'; readonly reason: string };

const ACCESS_MODES: readonly AccessMode[] = [
  'SINGLE_NODE_WRITER',
  'SINGLE_NODE_READER_ONLY',
  'SINGLE_NODE_SINGLE_WRITER',
  'SINGLE_NODE_MULTI_WRITER',
];

/** The largest group id; 2^32-1 means "no group" to Linux. */
const MAX_GID = 2 ** 32 - 2;

/** @throws DriverError invalid-argument for what is malformed */
export function parseCapability(field: string, wire: VolumeCapability__Output | null): ParsedCapability {
  if (!wire) throw invalidArgument(field, 'required');
  const access = parseAccess(field, wire);
  const mode: unknown = wire.accessMode?.mode ?? 'UNKNOWN';
  if (mode === 'UNKNOWN') throw invalidArgument(`${field}.access_mode.mode`, 'required');
  // A mode of a later specification arrives as a number.
  const known = ACCESS_MODES.find((each) => each === mode);
  if (typeof access === 'string') return { kind: 'unsupported', reason: access };
  if (!known) return { kind: 'unsupported', reason: modeReason(field, mode) };
  return { kind: 'supported', capability: { access, mode: known } };
}

/**
 * @param code what an RPC answers to a capability that no local volume has (CSI specification, "Exceeds capabilities")
 * @throws DriverError `code`, or invalid-argument for what is malformed
 */
export function requiredCapability(field: string, wire: VolumeCapability__Output | null, code: ErrorCode): Capability {
  const parsed = parseCapability(field, wire);
  if (parsed.kind === 'unsupported') throw new DriverError(code, parsed.reason);
  return parsed.capability;
}

/** @returns one result for each; @throws DriverError invalid-argument when there is none, or one is malformed */
export function parseCapabilities(
  field: string,
  wire: readonly VolumeCapability__Output[],
): readonly [ParsedCapability, ...ParsedCapability[]] {
  const [first, ...others] = wire.map((each, i) => parseCapability(`${field}[${i}]`, each));
  if (!first) throw invalidArgument(field, 'required');
  return [first, ...others];
}

/**
 * Why no one volume can have all of these; undefined when one can. A volume is raw or holds one filesystem: what it is
 * used as first decides.
 */
export function conflictOf(field: string, parsed: readonly ParsedCapability[]): string | undefined {
  const accesses: Access[] = [];
  for (const each of parsed) {
    if (each.kind === 'unsupported') return each.reason;
    accesses.push(each.capability.access);
  }
  if (new Set(accesses.map(({ kind }) => kind)).size > 1) return `${field}: block and mount exclude each other`;
  if (fsTypesOf(accesses).size > 1) return `${field}: a volume can have one fs_type only`;
  return undefined;
}

/** The filesystem that the capabilities ask for, when they do. */
export function fsTypeOf(parsed: readonly ParsedCapability[]): FsType | undefined {
  const [fsType] = fsTypesOf(parsed.flatMap((each) => (each.kind === 'supported' ? [each.capability.access] : [])));
  return fsType;
}

/** What they all are of: `conflictOf` has found no other. */
export function accessTypeOf(parsed: readonly ParsedCapability[]): AccessType | undefined {
  return parsed.find((each) => each.kind === 'supported')?.capability.access.kind;
}

function fsTypesOf(accesses: readonly Access[]): ReadonlySet<FsType> {
  return new Set(accesses.flatMap((access) => (access.kind === 'mount' ? (access.fsType ?? []) : [])));
}

/** A string is the reason why it is not supported. */
function parseAccess(field: string, wire: VolumeCapability__Output): Access | string {
  if (wire.block) return { kind: 'block' };
  if (!wire.mount) throw invalidArgument(field, 'block or mount is required');
  const { fsType: fsName, volumeMountGroup } = wire.mount;
  const mountFlags = parseMountFlags(`${field}.mount.mount_flags`, wire.mount.mountFlags);
  const mountGroup = parseGroup(`${field}.mount.volume_mount_group`, volumeMountGroup);
  const fsType = asFsType(fsName);
  if (fsName !== '' && !fsType) {
    const shown = JSON.stringify(fsName.slice(0, 128));
    return `${field}.mount.fs_type: ${shown} is not supported; there are ${FS_TYPES.join(', ')}`;
  }
  return { kind: 'mount', mountFlags, ...(fsType && { fsType }), ...(mountGroup !== undefined && { mountGroup }) };
}

function parseGroup(field: string, value: string): number | undefined {
  if (value === '') return undefined;
  if (!/^\d{1,10}$/.test(value) || Number(value) > MAX_GID) {
    throw invalidArgument(field, `${JSON.stringify(value.slice(0, 128))} is not a numeric group id`);
  }
  return Number(value);
}

function modeReason(field: string, mode: unknown): string {
  return (
    `${field}.access_mode.mode: ${String(mode)} is not supported: ` +
    `a volume here is on one node (${ACCESS_MODES.join(', ')})`
  );
}
