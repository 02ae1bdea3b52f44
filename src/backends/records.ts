/**
 * The metadata files of a pool: versioned JSON, sizes as decimal strings. Reading checks what it relies on: a file that
 * is damaged is reported by name and never guessed at.
 */
import { DriverError, messageOf } from '../core/errors.ts';
import type { CutRecord, Snapshot } from '../core/snapshot.ts';
import type { Volume } from '../core/volume.ts';

const FORMAT = 1;

export function encodeVolume(volume: Volume): string {
  return encode('volume', volume);
}

export function encodeCut(record: CutRecord): string {
  return encode('cut', record);
}

/** @throws DriverError data-loss when the text is not what `encodeVolume` writes */
export function decodeVolume(text: string, file: string): Volume {
  const volume = decode<Volume>('volume', text, file);
  return { ...volume, capacityBytes: bytes(volume.capacityBytes, file) };
}

/** @throws DriverError data-loss when the text is not what `encodeCut` writes */
export function decodeCut(text: string, file: string): CutRecord {
  const record = decode<CutRecord>('cut', text, file);
  const snapshots = record.snapshots.map(
    (snapshot): Snapshot => ({
      ...snapshot,
      sizeBytes: bytes(snapshot.sizeBytes, file),
      heldBytes: bytes(snapshot.heldBytes, file),
    }),
  );
  return { ...record, snapshots };
}

function encode(kind: 'volume' | 'cut', value: object): string {
  const text = JSON.stringify({ format: FORMAT, kind, ...value }, (_, field: unknown) =>
    typeof field === 'bigint' ? field.toString() : field,
  );
  return `${text}\n`;
}

function decode<T extends object>(kind: 'volume' | 'cut', text: string, file: string): T {
  try {
    const { format, kind: found, ...value } = JSON.parse(text) as T & { format?: unknown; kind?: unknown };
    if (format !== FORMAT || found !== kind) throw new Error(`format ${String(format)}, kind ${String(found)}`);
    return value as unknown as T;
  } catch (cause) {
    throw new DriverError('data-loss', `${file} is not a ${kind} record of this version: ${messageOf(cause)}`, {
      cause,
    });
  }
}

function bytes(value: unknown, file: string): bigint {
  if (typeof value !== 'string' || !/^\d+$/.test(value)) {
    throw new DriverError('data-loss', `${file}: ${JSON.stringify(value)} is not a size in bytes`);
  }
  return BigInt(value);
}
