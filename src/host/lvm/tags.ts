/**
 * Facts in LV tags. A tag may hold letters, digits and `_ + . - / = ! : & #` (lvm(8)); every other byte of a value is
 * written `=XX`, and so is `=` itself, so that a tag reads `key=value` and any text fits.
 */
const PLAIN = /[A-Za-z0-9_+.\-/!:&#]/;

export function encodeTag(key: string, value: string): string {
  const escaped = [...Buffer.from(value)].map((byte) => {
    const character = String.fromCharCode(byte);
    return PLAIN.test(character) ? character : `=${byte.toString(16).padStart(2, '0').toUpperCase()}`;
  });
  return `${key}=${escaped.join('')}`;
}

/** Undefined for a tag that `encodeTag` did not make. */
export function decodeTag(tag: string): readonly [key: string, value: string] | undefined {
  const at = tag.indexOf('=');
  if (at <= 0) return undefined;
  const escaped = tag.slice(at + 1);
  if (/=(?![0-9A-F]{2})/.test(escaped)) return undefined;
  const latin1 = escaped.replace(/=([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return [tag.slice(0, at), Buffer.from(latin1, 'latin1').toString()];
}
