import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from '@jest/globals';
import { missingEntries } from '../../scripts/complete-lock.ts';
import { ROOT } from '../support/command.ts';

test('it is whole, so that npm ci takes it whatever the registry has', () => {
  const lockfile = JSON.parse(readFileSync(path.join(ROOT, 'package-lock.json'), 'utf8'));
  expect([...missingEntries(lockfile).keys()]).toEqual([]);
  const { 'node_modules/@biomejs/cli-linux-x64': entry, ...packages } = lockfile.packages;
  expect(entry).toBeDefined();
  expect([...missingEntries({ packages })]).toEqual([
    [
      'node_modules/@biomejs/cli-linux-x64',
      { version: entry.version, cpu: ['x64'], dev: true, optional: true, os: ['linux'] },
    ],
  ]);
});
