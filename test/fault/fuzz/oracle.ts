/** What the answer to a request must be, as far as one bad value decides that. */
import type { ErrorCode } from '../../../src/core/errors.ts';
import type { Path, Place, Rpc } from './schema.ts';

/** Codes that say whose fault it is and what to do; none of them is INTERNAL, UNKNOWN or UNAVAILABLE. */
const REFUSALS: readonly ErrorCode[] = [
  'invalid-argument',
  'not-found',
  'already-exists',
  'out-of-range',
  'failed-precondition',
  'resource-exhausted',
];

const NOT_OFFERED = ['ControllerPublishVolume', 'ControllerUnpublishVolume', 'ControllerModifyVolume'];
const LISTS = ['ListVolumes', 'ListSnapshots', 'ControllerListVolumeHealth'];

export type Answer = { readonly code: 'ok' } | { readonly code: ErrorCode; readonly message: string };

/** @returns what is wrong with the answer, whatever the request was; undefined when nothing is */
export function objection({ method, fields }: Rpc, answer: Answer): string | undefined {
  const tooLarge = answer.code === 'resource-exhausted' && answer.message.includes('larger than max');
  if (NOT_OFFERED.includes(method)) return answer.code === 'unimplemented' || tooLarge ? undefined : 'is not offered';
  if (answer.code === 'ok') return undefined;
  const { code, message } = answer;
  if (!REFUSALS.includes(code) && !(code === 'aborted' && LISTS.includes(method))) return `must not be ${code}`;
  if (message.length > 1100) return `a message of ${message.length} characters`;
  if (
    code === 'invalid-argument' &&
    !fields.some(({ name }) => isNamed(message, name)) &&
    !isNamed(message, 'request')
  ) {
    return 'names no field';
  }
  return undefined;
}

/** With one value changed in a good request, it is that one's fault. */
export function blame({ path, field }: Place, value: unknown, { method }: Rpc, answer: Answer): string | undefined {
  if (NOT_OFFERED.includes(method)) return undefined;
  const wanted = wantedFor(method, path, field.kind, value);
  if (wanted !== undefined && !wanted.includes(answer.code)) return `must be ${wanted.join(' or ')}`;
  if (answer.code === 'invalid-argument' && !isNamed(answer.message, String(path[0])))
    return `does not name ${path[0]}`;
  return undefined;
}

function isNamed(message: string, field: string): boolean {
  return message.startsWith(field) && !/^[a-z_]/.test(message.slice(field.length));
}

const bytesOf = (value: unknown) => (typeof value === 'string' ? Buffer.byteLength(value) : 0);

/** The codes that only can be right; undefined where it depends. */
function wantedFor(method: string, path: Path, kind: string, value: unknown): readonly Answer['code'][] | undefined {
  const name = String(path.at(-1));
  const top = path.length === 1;
  if (kind === 'map') return isHuge(value) ? ['invalid-argument'] : undefined;
  if (name === 'max_entries') return Number(value) < 0 ? ['invalid-argument'] : ['ok'];
  // One that could be ours is taken: what it names may have gone meanwhile.
  if (name === 'starting_token')
    return value === '' ? ['ok'] : /^v1[vs]\./.test(String(value)) ? undefined : ['aborted'];
  if (kind === 'int64') return wantedForSize(method, value);
  if (kind !== 'string' || Array.isArray(value)) return undefined;
  if (name.endsWith('_path')) return top ? wantedForPath(method, name, String(value)) : undefined;
  if (top && name === 'name') return isName(String(value)) ? ['ok'] : ['invalid-argument'];
  if (name.endsWith('_id') && bytesOf(value) > 128) return ['invalid-argument'];
  if (name.endsWith('_id') && top && value === '' && method !== 'ListSnapshots') return ['invalid-argument'];
  if (name === 'fs_type' && !['', 'ext4'].includes(String(value))) return refusedUse(method);
  return undefined;
}

function wantedForSize(method: string, value: unknown): readonly Answer['code'][] | undefined {
  const bytes = BigInt(String(value));
  if (bytes < 0n) return ['invalid-argument'];
  // As required or as limit, with the other one as it is: refused when too large, ignored when 0, else it depends.
  return bytes > 1n << 60n && method !== 'NodeExpandVolume' ? ['out-of-range', 'ok', 'resource-exhausted'] : undefined;
}

function wantedForPath(method: string, name: string, value: string): readonly Answer['code'][] | undefined {
  const optional = name === 'staging_target_path' && !['NodeStageVolume', 'NodeUnstageVolume'].includes(method);
  const ofHealth = method === 'NodeGetVolumeHealth';
  if (value === '') {
    if (method === 'NodePublishVolume' && optional) return ['failed-precondition'];
    return optional || ofHealth ? ['ok'] : ['invalid-argument'];
  }
  const bad = value.includes('\0') || value.split('/').includes('..') || bytesOf(value) > 4095;
  if (bad || value.split('/').some((part) => bytesOf(part) > 255)) return ['invalid-argument'];
  if (value.startsWith('/') && value !== '/') return undefined;
  return name === 'volume_path' ? ['not-found'] : ['invalid-argument'];
}

/** What each RPC says of a use that no volume here, or not this one, can be put to. */
function refusedUse(method: string): readonly Answer['code'][] {
  if (method === 'GetCapacity' || method === 'ValidateVolumeCapabilities') return ['ok'];
  return method.startsWith('Node') ? ['failed-precondition', 'invalid-argument'] : ['invalid-argument'];
}

function isName(value: string): boolean {
  return value !== '' && bytesOf(value) <= 128 && !/(?![\t\n\r])\p{Cc}/u.test(value);
}

function isHuge(value: unknown): boolean {
  const entries = Object.entries(value as Record<string, string>);
  return entries.reduce((sum, [key, text]) => sum + bytesOf(key) + bytesOf(text), 0) > 4096;
}
