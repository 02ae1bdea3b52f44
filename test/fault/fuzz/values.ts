/** What no caller should send, and what one may send that means harm. */
import type { Random } from '../../../src/prove/random.ts';
import type { Field, Message } from './schema.ts';

/** Must not be in any log: it is in every secret. */
export const SECRET = 'a-secret-that-no-log-may-show';

const MiB = 1 << 20;
const HASH = 'abcdefghijklmnopqrstuvwxyz';

/** @param lures paths in a folder that holds something to break */
export function stringValues(lures: readonly string[]): readonly string[] {
  return [
    '',
    ' ',
    '.',
    '..',
    '/',
    '../../../../etc/passwd',
    'a/../../b',
    'volumes/../../lock',
    '%2e%2e%2f',
    'nul\0in the middle',
    '\0',
    'bell\u0007',
    'escape\u001b[31m',
    'two\nlines',
    'tab\tand\rreturn',
    '\u0085\u009f',
    '\u202eright to left',
    '\ufeffmark',
    'é, e\u0301, ß, 你好, 🤡',
    '𝕍'.repeat(32),
    'x'.repeat(128),
    'x'.repeat(129),
    'é'.repeat(64),
    'é'.repeat(65),
    'x'.repeat(256),
    '/x'.repeat(3000),
    'y'.repeat(MiB),
    '--help',
    '-o remount',
    '$(reboot)',
    '`reboot`',
    "'; reboot; '",
    '%s%s%n',
    '__proto__',
    'constructor',
    'toString',
    'null',
    '0',
    '-1',
    '4294967295',
    '1e309',
    `vol-${HASH}.node-a`,
    `vol-${HASH}.node-b`,
    `vol-${HASH}.node-a\n`,
    `vol-${HASH}.../../../etc`,
    `vol-../../../../../../../etc.node-a`,
    `VOL-${HASH}.node-a`,
    `vol-${HASH}.${'n'.repeat(96)}`,
    `snap-${HASH}.node-a`,
    `group-${HASH}`,
    `v1v.${HASH}.node-a`,
    `v1s.${HASH}.node-a`,
    'ext4',
    'ext4 -o loop',
    'ntfs',
    'x-mount.mkdir',
    'remount,ro',
    'a,,b',
    ...lures,
  ];
}

export const INTEGERS = {
  int32: [0, 1, -1, 2 ** 31 - 1, -(2 ** 31)],
  int64: [
    '0',
    '1',
    '-1',
    '9007199254740993',
    '-9007199254740993',
    '9223372036854775807',
    '-9223372036854775808',
    String(16 * MiB),
    String(16 * MiB + 1),
    String(MiB),
  ],
  uint32: [0, 1, 30_000, 30_001, 2 ** 31, 2 ** 32 - 1],
  uint64: ['0', '1', '9007199254740993', '9223372036854775808', '18446744073709551615', String(16 * MiB)],
} as const;

/** Numbers of a later protocol, and of none. */
const ENUMS = [0, 1, 2, 3, 4, 5, 6, 7, 8, 99, -1, 2 ** 31 - 1];

/** Of the strings, those that are long or not plain text, and every eighth of the others: maps are many. */
function mapValues(strings: readonly string[]): readonly unknown[] {
  const some = strings.filter((text, i) => i % 8 === 0 || text.length > 4000 || /\p{Cc}/u.test(text));
  return [
    {},
    ...some.flatMap((text) => [{ [text]: 'value' }, { key: text }]),
    // As own keys, which a literal would not make.
    JSON.parse('{"__proto__": "x"}'),
    JSON.parse('{"constructor": "x", "hasOwnProperty": "y"}'),
    Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`key ${i}`, 'x'])),
    { 'csi.storage.k8s.io/pvc/name': 'x'.repeat(4096) },
    { 'csi.storage.k8s.io/pvc/name': 'a claim', 'csi.storage.k8s.io/': '' },
    { 'topology.cofferdam.io/node': 'node-a', 'TOPOLOGY.cofferdam.io/node': 'node-a' },
    { 'topology.cofferdam.io/node': '../node-a' },
    { 'csi.cofferdam.io/test-no-fence': 'perhaps' },
  ];
}

/** Every value that a field is tried with. */
export function valuesFor(field: Field, strings: readonly string[]): readonly unknown[] {
  const single = singleValues(field, strings);
  if (!field.repeated) return single;
  const [first] = single.filter((value) => value !== '' && value !== null);
  if (field.kind === 'message') return [[], [{}], [{}, {}]];
  return [[], ...single.map((value) => [value]), [first, first], Array.from({ length: 5000 }, () => first)];
}

function singleValues({ kind, name }: Field, strings: readonly string[]): readonly unknown[] {
  switch (kind) {
    case 'string':
      return strings;
    case 'int32':
    case 'int64':
    case 'uint32':
    case 'uint64':
      return INTEGERS[kind];
    case 'bool':
      return [true, false];
    case 'enum':
      return ENUMS;
    case 'map':
      return mapValues(strings).map((map) => (name === 'secrets' ? { ...(map as object), more: SECRET } : map));
    case 'message':
      return [null, {}];
  }
}

/** A request of random values, hostile or taken from a good one. */
export function randomRequest(
  random: Random,
  fields: readonly Field[],
  good: Message | undefined,
  strings: readonly string[],
): Message {
  const entries = fields.flatMap((field): [string, unknown][] => {
    const own = good?.[field.name];
    const dice = random.below(10);
    if (dice < 5) return own === undefined ? [] : [[field.name, own]];
    if (dice < 6) return [];
    if (field.kind !== 'message') {
      const values = valuesFor(field, strings);
      return [[field.name, values[random.below(values.length)]]];
    }
    const inner = (from: unknown) => randomRequest(random, field.fields, from as Message | undefined, strings);
    const first: unknown = Array.isArray(own) ? own[0] : own;
    return [[field.name, field.repeated ? Array.from({ length: random.below(3) }, () => inner(first)) : inner(first)]];
  });
  return Object.fromEntries(entries);
}

/** Bytes that are no message, or one that nobody would make. */
export function rawRequests(random: Random, good: Buffer): readonly (readonly [string, Buffer])[] {
  const noise = (length: number) => Buffer.from(Array.from({ length }, () => random.below(256)));
  return [
    ['nothing', Buffer.alloc(0)],
    ['zeros', Buffer.alloc(64)],
    ['field number 0', Buffer.from([0x02, 0x01, 0x00])],
    ['a varint without end', Buffer.alloc(4096, 0xff)],
    ['a length of 4 GiB', Buffer.from([0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x41])],
    ['a length past the end', Buffer.from([0x0a, 0x7f, 0x41])],
    ['groups within groups', Buffer.alloc(100_000, 0x0b)],
    ['the end of a group', Buffer.from([0x0c])],
    ['wire type 7', Buffer.from([0x0f, 0x00])],
    ['the good one, cut', good.subarray(0, Math.max(1, good.length - 3))],
    ['the good one, twice', Buffer.concat([good, good])],
    ['the good one, and unknown fields', Buffer.concat([good, Buffer.from([0xfa, 0x7f, 0x02, 0x41, 0x42])])],
    ['a string that is no UTF-8', Buffer.concat([Buffer.from([0x0a, 0x04, 0xff, 0xfe, 0xc0, 0x80])])],
    ['a number where a string is', Buffer.from([0x08, 0x01])],
    ['messages within messages', nested(2000)],
    ['more than a server takes', Buffer.alloc(5 * MiB, 0x41)],
    ...Array.from({ length: 8 }, (_, i): readonly [string, Buffer] => [`noise ${i}`, noise(1 + random.below(200))]),
    ...Array.from({ length: 8 }, (_, i): readonly [string, Buffer] => [`the good one, bent ${i}`, bent(random, good)]),
  ];
}

function bent(random: Random, good: Buffer): Buffer {
  const copy = Buffer.from(good);
  for (let i = 0; i < 3 && copy.length > 0; i++) copy[random.below(copy.length)] = random.below(256);
  return copy;
}

function nested(depth: number): Buffer {
  let inner = Buffer.alloc(0);
  for (let i = 0; i < depth; i++) {
    const length: number[] = [];
    for (let rest = inner.length; ; rest >>>= 7) {
      length.push(rest > 0x7f ? (rest & 0x7f) | 0x80 : rest);
      if (rest <= 0x7f) break;
    }
    inner = Buffer.concat([Buffer.from([0x32, ...length]), inner]);
  }
  return inner;
}
