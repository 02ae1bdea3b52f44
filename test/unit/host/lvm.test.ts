/** What goes into LVM's metadata comes out of it, and its reports are read as it writes them. */
import { describe, expect, test } from '@jest/globals';
import { lvmConfig } from '../../../src/host/lvm/config.ts';
import { parseReport } from '../../../src/host/lvm/report.ts';
import { LvmShell } from '../../../src/host/lvm/shell.ts';
import { decodeTag, encodeTag } from '../../../src/host/lvm/tags.ts';

describe('tags', () => {
  test.each([
    '',
    'plain-Text_1.2/3',
    'a=b',
    '=3D',
    'spaces, "quotes" and \\',
    '@%~[]{}*?;|<>^$`',
    'ünicode 🌊',
    '\0\n\x7f',
    '{"a":[1,"2"]}',
  ])('hold %j', (value) => {
    const tag = encodeTag('key', value);
    expect(tag).toMatch(/^[A-Za-z0-9_+.\-/=!:&#]+$/);
    expect(decodeTag(tag)).toEqual(['key', value]);
  });

  test.each(['', 'no-value', '=x', 'key=1=2', 'key==zz'])('of others (%j) are left to them', (tag) => {
    const decoded = decodeTag(tag);
    if (decoded) expect(encodeTag(...decoded)).toBe(tag);
  });
});

describe('reports', () => {
  test('are read, with the comma that LVM leaves in its log', () => {
    const text = '{"report":[{"lv":[{"lv_name":"a"},{"lv_name":"b"}]}],"log":[{"log_ret_code":"1"},]}';
    expect(parseReport(text).flatMap(({ lv = [] }) => lv)).toEqual([{ lv_name: 'a' }, { lv_name: 'b' }]);
  });

  test('of a command that prints nothing are empty', () => {
    expect(parseReport('\n')).toEqual([]);
  });
});

test('the shell is told only what it can not read otherwise', () => {
  expect(LvmShell.takes(['lvs', '-o', 'lv_name'])).toBe(true);
  for (const word of ['', 'two words', '"', "'", '\\', 'line\n']) expect(LvmShell.takes(['lvs', word])).toBe(false);
  expect(LvmShell.takes(Array.from({ length: 61 }, () => 'x'))).toBe(false);
});

test('the configuration accepts our devices literally, and no other', () => {
  expect(lvmConfig(['/dev/vda', '/dev/mapper/a.b+c'])).toContain(
    String.raw`global_filter = [ "a|^/dev/vda$|", "a|^/dev/mapper/a\.b\+c$|", "r|.*|" ]`,
  );
});
