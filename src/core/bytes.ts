import { invalidArgument } from './errors.ts';

/** Sizes are bytes, and bigint: a JavaScript number loses bits above 2^53. */
export type Bytes = bigint;

export const KiB: Bytes = 1024n;
export const MiB: Bytes = 1024n * KiB;
export const GiB: Bytes = 1024n * MiB;
export const TiB: Bytes = 1024n * GiB;

const UNITS = new Map<string, Bytes>([
  ['', 1n],
  ['Ki', KiB],
  ['Mi', MiB],
  ['Gi', GiB],
  ['Ti', TiB],
  ['KiB', KiB],
  ['MiB', MiB],
  ['GiB', GiB],
  ['TiB', TiB],
]);

/**
 * Reads a size as people write it: `1073741824`, `512MiB`, `10Gi`, `1.5TiB`.
 * @throws DriverError invalid-argument that names `field`
 */
export function parseBytes(field: string, text: string): Bytes {
  const match = /^(\d{1,19})(?:\.(\d{1,3}))?\s*([KMGT]i(?:B)?)?$/.exec(text.trim());
  const unit = match ? UNITS.get(match[3] ?? '') : undefined;
  if (!match || unit === undefined) {
    throw invalidArgument(
      field,
      `${JSON.stringify(text)} is not a size; write bytes or a number with KiB, MiB, GiB or TiB`,
    );
  }
  const fraction = (match[2] ?? '').padEnd(3, '0');
  return BigInt(match[1] ?? '0') * unit + (BigInt(fraction) * unit) / 1000n;
}

/** `1.5 GiB`: for people, rounded to one decimal. */
export function formatBytes(bytes: Bytes): string {
  for (const [unit, size] of [
    ['TiB', TiB],
    ['GiB', GiB],
    ['MiB', MiB],
    ['KiB', KiB],
  ] as const) {
    if (bytes >= size) {
      const tenths = (bytes * 10n) / size;
      return tenths % 10n === 0n ? `${tenths / 10n} ${unit}` : `${tenths / 10n}.${tenths % 10n} ${unit}`;
    }
  }
  return `${bytes} B`;
}

export function roundUp(bytes: Bytes, multiple: Bytes): Bytes {
  return ((bytes + multiple - 1n) / multiple) * multiple;
}

export function minBytes(...values: readonly [Bytes, ...Bytes[]]): Bytes {
  return values.reduce((least, value) => (value < least ? value : least));
}

export function maxBytes(...values: readonly [Bytes, ...Bytes[]]): Bytes {
  return values.reduce((most, value) => (value > most ? value : most));
}
