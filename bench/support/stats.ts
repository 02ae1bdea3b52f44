export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  if (sorted.length % 2 === 1) return sorted[middle] ?? Number.NaN;
  return ((sorted[middle - 1] ?? Number.NaN) + (sorted[middle] ?? Number.NaN)) / 2;
}

/** The least of the values that `percent` of them do not exceed. */
export function percentile(values: readonly number[], percent: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.ceil((sorted.length * percent) / 100) - 1] ?? Number.NaN;
}

/** How many times smaller `value` is than `base`: `1/46`, or `1.3x` when it is larger. */
export function fraction(value: number, base: number): string {
  if (value > base) return times(value, base);
  const factor = base / value;
  return `1/${factor < 10 ? factor.toFixed(1) : Math.round(factor)}`;
}

/** How many times as large `value` is: `5.2x`. */
export function times(value: number, base: number): string {
  const factor = value / base;
  return `${factor < 10 ? factor.toFixed(2) : factor < 100 ? factor.toFixed(1) : Math.round(factor)}x`;
}

export function ms(value: number): string {
  return value < 10 ? value.toFixed(2) : value < 100 ? value.toFixed(1) : String(Math.round(value));
}

export function mebibytes(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(1);
}

/** The same items in another order each time, so that no variant is always measured first. */
export function rotated<T>(items: readonly T[], by: number): readonly T[] {
  const shift = by % items.length;
  return [...items.slice(shift), ...items.slice(0, shift)];
}
