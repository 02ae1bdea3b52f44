import { expect, test } from '@jest/globals';
import { renderTables } from '../../../src/app/roles/status.ts';

test('what is frozen is shown where the pool is not mounted, too', () => {
  const pool = { folder: '/data/pool', mounted: false, volumes: [], cuts: [] };
  const members = [[{ kind: 'filesystem', mountPoint: '/mnt/a', devNumber: '7:1' } as const]];
  expect(renderTables(pool, [{ token: 'c0ffee', members }]).split('\n')).toEqual([
    'Pool /data/pool is not mounted. The driver mounts it when it starts.',
    '',
    'Frozen, or about to be',
    '  ROUND   WHAT    DEVICE',
    '  ------  ------  ------',
    '  c0ffee  /mnt/a  7:1',
    '',
  ]);
  expect(renderTables(pool, [])).toContain('Frozen, or about to be: none');
});
