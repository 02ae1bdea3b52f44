/** What the CSI specification ("Size Limits") lets a caller send. */
export const MAX_STRING_BYTES = 128;
export const MAX_MAP_BYTES = 4096;

/** Keys and values together. */
export function bytesOfMap(map: Readonly<Record<string, string>>): number {
  return Object.entries(map).reduce((sum, [key, value]) => sum + Buffer.byteLength(key) + Buffer.byteLength(value), 0);
}
