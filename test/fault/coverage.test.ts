/** No failpoint is left out: what the sources have and what the tables of this tier have is the same. */
import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from '@jest/globals';
import { ROOT } from '../support/command.ts';
import { compare } from '../support/rig.ts';
import { MOUNT_SCENARIOS } from './crash/mounts.ts';
import { pointOf } from './crash/scenario.ts';
import { SNAPSHOT_SCENARIOS } from './crash/snapshots.ts';
import { FIRST_START, GROWING_START, SECOND_START } from './crash/start.ts';
import { VOLUME_SCENARIOS } from './crash/volumes.ts';
import { GUARD_POINTS } from './guarded-group.ts';

const sources = globSync('src/**/*.ts', { cwd: ROOT })
  .filter((file) => file !== 'src/core/failpoint.ts' && !file.startsWith('src/gen/'))
  .map((file) => readFileSync(path.join(ROOT, file), 'utf8'));

const inSources = sources.flatMap((text) => [...text.matchAll(/failpoint\('([^']*)'\)/g)].map(([, name = '']) => name));

test('every failpoint of the sources is in a table here, and the other way round', () => {
  const scenarios = [...VOLUME_SCENARIOS, ...SNAPSHOT_SCENARIOS, ...MOUNT_SCENARIOS];
  const inTables = [...scenarios.flatMap(({ points }) => Object.keys(points)).map(pointOf)];
  const starts = [...FIRST_START, ...GROWING_START, ...SECOND_START];
  const guard = GUARD_POINTS.map(pointOf);
  expect(sorted([...inTables, ...starts, ...guard])).toEqual(sorted(inSources));
});

test('a failpoint is named where it is passed, so that it can be found', () => {
  const calls = sources.flatMap((text) => [...text.matchAll(/\bfailpoint\((?!'[a-z]+(?:\.[a-z-]+)+'\))[^)]*\)/g)]);
  expect(calls.map(([call]) => call)).toEqual([]);
});

function sorted(names: readonly string[]): readonly string[] {
  return [...new Set(names)].toSorted(compare);
}
