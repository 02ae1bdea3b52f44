/**
 * The metadata of a pool: versioned JSON, sizes as decimal strings. Reading checks what it relies on: a record that is
 * damaged is reported by its place (a file, a logical volume) and never guessed at.
 */
import { DriverError, messageOf } from '../core/errors.ts';
import { parseId } from '../core/ids.ts';
import type { RoundToken } from '../core/round.ts';
import type { CutRecord, Snapshot } from '../core/snapshot.ts';
import { ACCESS_TYPES, type Volume } from '../core/volume.ts';

const FORMAT = 1;

export function encodeVolume(volume: Volume): string {
  return encode('volume', volume);
}

export function encodeCut(record: CutRecord): string {
  return encode('cut', record);
}

/**
 * @param local the id that a record in this place must have, without its node
 * @throws DriverError data-loss when the text is not what `encodeVolume` writes to this place
 */
export function decodeVolume(text: string, place: string, local: string): Volume {
  return decode<Volume>('volume', text, place, (volume) => {
    demand(parseId(volume.id)?.kind === 'volume', 'id');
    demand(parseId(volume.id)?.local === local, 'the id of another place');
    demand(isObject(volume.content), 'content');
    demand(isObject(volume.parameters), 'parameters');
    demand(volume.accessType === undefined || ACCESS_TYPES.includes(volume.accessType), 'access type');
    return { ...volume, capacityBytes: bytes(volume.capacityBytes) };
  });
}

/**
 * @param token the round that a record in this place must be of
 * @throws DriverError data-loss when the text is not what `encodeCut` writes to this place
 */
export function decodeCut(text: string, place: string, token: RoundToken): CutRecord {
  return decode<CutRecord>('cut', text, place, (record) => {
    demand(record.token === token, 'the token of another place');
    demand(Array.isArray(record.snapshots), 'snapshots');
    demand(Array.isArray(record.evidence), 'evidence');
    return { ...record, snapshots: record.snapshots.map(decodeSnapshot) };
  });
}

function decodeSnapshot(snapshot: Snapshot): Snapshot {
  demand(isObject(snapshot) && parseId(snapshot.id)?.kind === 'snapshot', 'the id of a snapshot');
  demand(parseId(snapshot.sourceVolumeId)?.kind === 'volume', 'the source of a snapshot');
  demand(isObject(snapshot.content), 'the content of a snapshot');
  return { ...snapshot, sizeBytes: bytes(snapshot.sizeBytes), heldBytes: bytes(snapshot.heldBytes) };
}

function encode(kind: 'volume' | 'cut', value: object): string {
  const text = JSON.stringify({ format: FORMAT, kind, ...value }, (_, field: unknown) =>
    typeof field === 'bigint' ? field.toString() : field,
  );
  return `${text}\n`;
}

/** @param read is given what claims to be a T, with sizes as text, and checks what it relies on */
function decode<T extends object>(kind: 'volume' | 'cut', text: string, place: string, read: (value: T) => T): T {
  try {
    const { format, kind: found, ...value } = JSON.parse(text) as T & { format?: unknown; kind?: unknown };
    if (format !== FORMAT || found !== kind) throw new Error(`format ${String(format)}, kind ${String(found)}`);
    return read(value as unknown as T);
  } catch (cause) {
    throw new DriverError('data-loss', `${place} is not a ${kind} record of this version: ${messageOf(cause)}`, {
      cause,
    });
  }
}

function demand(holds: boolean, what: string): void {
  if (!holds) throw new Error(`wrong or missing: ${what}`);
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null;
}

function bytes(value: unknown): bigint {
  if (typeof value !== 'string' || !/^\d+$/.test(value))
    throw new Error(`${JSON.stringify(value)} is no size in bytes`);
  return BigInt(value);
}
