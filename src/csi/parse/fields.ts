import { invalidArgument } from '../../core/errors.ts';
import { bytesOfMap, MAX_MAP_BYTES, MAX_STRING_BYTES } from '../../core/limits.ts';

/** An id that the caller had from us, or believes it had: what we can't have made is unknown, not malformed. */
export function requiredId(field: string, value: string): string {
  if (value === '') throw invalidArgument(field, 'required');
  return bounded(field, value);
}

/** A required list of ids. @throws DriverError invalid-argument when it is empty, or an id is there twice */
export function requiredIds(field: string, values: readonly string[]): readonly string[] {
  if (values.length === 0) throw invalidArgument(field, 'required');
  const seen = new Map<string, number>();
  for (const [i, value] of values.entries()) {
    requiredId(`${field}[${i}]`, value);
    const first = seen.get(value);
    if (first !== undefined) throw invalidArgument(`${field}[${i}]`, `the same as ${field}[${first}]`);
    seen.set(value, i);
  }
  return values;
}

export function optionalId(field: string, value: string): string | undefined {
  return value === '' ? undefined : bounded(field, value);
}

/** A name that the caller chose (CSI specification, CreateVolumeRequest.name and its like). */
export function requiredName(field: string, value: string): string {
  if (value === '') throw invalidArgument(field, 'required');
  // The specification bans control characters other than tab, line feed and carriage return.
  if (/(?![\t\n\r])\p{Cc}/u.test(value)) throw invalidArgument(field, 'control characters are not allowed');
  if (!value.isWellFormed()) throw invalidArgument(field, 'not valid Unicode');
  return bounded(field, value);
}

/** Checks the size of a map. */
export function boundedMap(field: string, map: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const bytes = bytesOfMap(map);
  if (bytes > MAX_MAP_BYTES) throw invalidArgument(field, `has ${bytes} bytes, the limit is ${MAX_MAP_BYTES}`);
  return map;
}

/** Maps that we get and make no use of, by their names in the protocol. */
export function checkUnusedMaps(maps: Readonly<Record<string, Readonly<Record<string, string>>>>): void {
  for (const [field, map] of Object.entries(maps)) boundedMap(field, map);
}

function bounded(field: string, value: string): string {
  const bytes = Buffer.byteLength(value);
  if (bytes > MAX_STRING_BYTES) throw invalidArgument(field, `has ${bytes} bytes, the limit is ${MAX_STRING_BYTES}`);
  return value;
}
