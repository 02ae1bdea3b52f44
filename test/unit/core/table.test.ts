import { styleText } from 'node:util';
import { expect, test } from '@jest/globals';
import { formatTable } from '../../../src/core/table.ts';

const COLUMNS = [{ title: 'volume' }, { title: 'size', align: 'right' }, { title: 'state' }] as const;

test('columns are as wide as their widest cell, numbers to the right, nothing at the end of a line', () => {
  const rows = [
    ['data', '1.5 GiB', 'mounted'],
    ['a-longer-name', '64 MiB'],
  ];
  expect(formatTable(COLUMNS, rows)).toBe(
    [
      'volume            size  state',
      '-------------  -------  -------',
      'data           1.5 GiB  mounted',
      'a-longer-name   64 MiB',
    ].join('\n'),
  );
});

test('colours take no room', () => {
  const red = styleText('red', 'bad', { validateStream: false });
  const [, , first, second] = formatTable(COLUMNS, [
    ['a', red, 'x'],
    ['b', 'good', 'y'],
  ]).split('\n');
  expect(first).toBe(`a        ${red}  x`);
  expect(second).toBe('b       good  y');
});

test('a table without rows is its titles', () => {
  expect(formatTable([{ title: 'id' }], [], { rule: '=', indent: '  ' })).toBe('  id\n  ==');
});
