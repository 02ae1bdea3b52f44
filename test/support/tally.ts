/** What a tier counted. */
export interface Tally {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

export const NOTHING: Tally = { passed: 0, failed: 0, skipped: 0 };

export function addUp(tallies: Iterable<Tally>): Tally {
  let sum = NOTHING;
  for (const { passed, failed, skipped } of tallies)
    sum = { passed: sum.passed + passed, failed: sum.failed + failed, skipped: sum.skipped + skipped };
  return sum;
}

/** One check that is a test by itself. */
export function verdict(passed: boolean): Tally {
  return passed ? { ...NOTHING, passed: 1 } : { ...NOTHING, failed: 1 };
}

/** A check that broke has failed; why is printed. */
export function complain(error: unknown): Tally {
  console.error(error);
  return verdict(false);
}

/** The last line of a run: `N passed, N failed, N skipped`. */
export function countLine({ passed, failed, skipped }: Tally): string {
  return `${passed} passed, ${failed} failed, ${skipped} skipped`;
}

export interface Row {
  readonly name: string;
  readonly tally: Tally;
  readonly seconds: number;
}

export function table(rows: readonly Row[]): string {
  const cells = rows.map(({ name, tally, seconds }) => [
    name,
    String(tally.passed),
    String(tally.failed),
    String(tally.skipped),
    `${seconds.toFixed(0)} s`,
  ]);
  const lines = [['', 'passed', 'failed', 'skipped', 'time'], ...cells];
  const widths = [0, 1, 2, 3, 4].map((column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  return lines
    .map((line) =>
      line
        .map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart((widths[column] ?? 0) + 2)))
        .join('')
        .trimEnd(),
    )
    .join('\n');
}
