import { describe, expect, test } from '@jest/globals';
import { formatBytes, GiB, KiB, MiB, maxBytes, minBytes, parseBytes, roundUp, TiB } from '../../../src/core/bytes.ts';

describe('parseBytes', () => {
  test.each([
    ['0', 0n],
    ['1', 1n],
    ['1073741824', GiB],
    [' 512MiB ', 512n * MiB],
    ['512 MiB', 512n * MiB],
    ['10Gi', 10n * GiB],
    ['10GiB', 10n * GiB],
    ['1.5TiB', TiB + 512n * GiB],
    ['1.5KiB', KiB + 512n],
    ['0.001KiB', 1n],
    // Past what a number can hold exactly, up to the last of int64.
    ['9007199254740993', 9_007_199_254_740_993n],
    ['9223372036854775807', 9_223_372_036_854_775_807n],
    ['8388608TiB', 8_388_608n * TiB],
  ])('%j is %s bytes', (text, bytes) => {
    expect(parseBytes('size', text)).toBe(bytes);
  });

  test.each([
    '',
    ' ',
    '-1',
    '+1',
    '1e9',
    '0x10',
    '1,5GiB',
    '1.GiB',
    '.5GiB',
    '1.2345GiB',
    '1GB',
    '1G',
    '1K',
    '1kib',
    '1 PiB',
    'GiB',
    'NaN',
    'Infinity',
    '12345678901234567890',
    '1MiB2',
    '１MiB',
  ])('%j is no size, and the error names the field', (text) => {
    expect(() => parseBytes('pool-size', text)).toThrow(/^pool-size: /);
    expect(() => parseBytes('pool-size', text)).toThrow(expect.objectContaining({ code: 'invalid-argument' }));
  });
});

test('formatBytes is for people, and reads back about the same', () => {
  expect(formatBytes(0n)).toBe('0 B');
  expect(formatBytes(1023n)).toBe('1023 B');
  expect(formatBytes(KiB)).toBe('1 KiB');
  expect(formatBytes(GiB + 512n * MiB)).toBe('1.5 GiB');
  expect(formatBytes(GiB - 1n)).toBe('1023.9 MiB');
  expect(formatBytes(2000n * TiB)).toBe('2000 TiB');
  for (const bytes of [KiB, 3n * MiB, 7n * GiB + 300n * MiB, 9_007_199_254_740_993n]) {
    const back = parseBytes('size', formatBytes(bytes));
    expect(back).toBeLessThanOrEqual(bytes);
    expect(back).toBeGreaterThan((bytes * 9n) / 10n);
  }
});

test('roundUp, minBytes and maxBytes stay exact past 2^53', () => {
  const large = 2n ** 62n + 1n;
  expect(roundUp(0n, MiB)).toBe(0n);
  expect(roundUp(1n, MiB)).toBe(MiB);
  expect(roundUp(MiB, MiB)).toBe(MiB);
  expect(roundUp(large, MiB)).toBe(2n ** 62n + MiB);
  expect(minBytes(large, large - 1n, large + 1n)).toBe(large - 1n);
  expect(maxBytes(large, large - 1n, large + 1n)).toBe(large + 1n);
  expect(minBytes(5n)).toBe(5n);
});
