/** The runner itself: it must neither lose a failure nor pass what did not run. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { parseJunit } from '../sanity/junit.ts';
import { compareSkips } from '../sanity/sanity.ts';
import { expectedSkips, SKIPS } from '../sanity/skips.ts';
import { ROOT } from '../support/command.ts';
import { addUp, countLine, table } from '../support/tally.ts';
import { tallyOf } from '../support/tiers.ts';

describe('the last line', () => {
  test('is the sum of all tiers', () => {
    const sum = addUp([
      { passed: 3, failed: 0, skipped: 1 },
      { passed: 40, failed: 2, skipped: 0 },
    ]);
    expect(countLine(sum)).toBe('43 passed, 2 failed, 1 skipped');
  });

  test('comes after a table with a row for every tier', () => {
    const rows = [
      { name: 'unit', tally: { passed: 120, failed: 0, skipped: 0 }, seconds: 3.6 },
      { name: 'nothing left behind', tally: { passed: 0, failed: 1, skipped: 0 }, seconds: 10 },
    ];
    expect(table(rows).split('\n')).toEqual([
      '                     passed  failed  skipped  time',
      'unit                    120       0        0   4 s',
      'nothing left behind       0       1        0  10 s',
    ]);
  });
});

test('a test file that does not even load is a failure', () => {
  const report = { numPassedTests: 5, numFailedTests: 0, numPendingTests: 1, numTodoTests: 1 };
  expect(tallyOf({ ...report, numRuntimeErrorTestSuites: 2 })).toEqual({ passed: 5, failed: 2, skipped: 2 });
});

describe('csi-sanity’s report', () => {
  const report = (cases: string) => `<testsuites><testsuite>${cases}</testsuite></testsuites>`;
  const spec = (name: string, status: string) =>
    `<testcase name="[It] ${name}" classname="CSI Driver Test Suite" status="${status}" time="0.5"></testcase>`;

  test('counts every ending that is not passed or skipped as failed', () => {
    const statuses = ['passed', 'skipped', 'pending', 'failed', 'panicked', 'timedout', 'interrupted', 'aborted'];
    const specs = parseJunit(report(statuses.map((status) => spec(status, status)).join('\n')));
    expect(specs.filter(({ status }) => status === 'failed')).toHaveLength(5);
    expect(specs.filter(({ status }) => status === 'skipped')).toHaveLength(2);
  });

  test('has its names decoded', () => {
    const [first] = parseJunit(report(spec('a &lt;b&gt; &#34;c&#34; &amp; d', 'passed')));
    expect(first?.name).toBe('a <b> "c" & d');
  });

  test('without a test case is refused', () => {
    expect(() => parseJunit(report(''))).toThrow('no test case');
  });

  test('may skip what the list says, and nothing else', () => {
    const specs = [
      { name: 'a', status: 'skipped', seconds: 0 },
      { name: 'b', status: 'skipped', seconds: 0 },
      { name: 'c', status: 'passed', seconds: 0 },
    ] as const;
    expect(compareSkips(specs, new Set(['a', 'b']))).toEqual([]);
    expect(compareSkips(specs, new Set(['a']))).toEqual(['skipped, and nobody said why: b']);
    expect(compareSkips(specs, new Set(['a', 'b', 'c']))).toEqual(['expected to be skipped, but not: c']);
  });
});

test('the README lists what csi-sanity skips, and why', () => {
  const readme = readFileSync(path.join(ROOT, 'README.md'), 'utf8');
  for (const { what, specs, reason } of SKIPS) expect(readme).toContain(`| ${what} | ${specs.length} | ${reason} |`);
  expect(expectedSkips(true).size).toBeLessThan(expectedSkips(false).size);
});
