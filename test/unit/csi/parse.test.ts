import { describe, expect, test } from '@jest/globals';
import type { DriverError } from '../../../src/core/errors.ts';
import { volumeId } from '../../../src/core/ids.ts';
import { NO_FENCE_PARAMETER, TOPOLOGY_KEY } from '../../../src/core/names.ts';
import { parseCapability } from '../../../src/csi/parse/capability.ts';
import { parseCapacityRange } from '../../../src/csi/parse/capacity-range.ts';
import { boundedMap, requiredIds, requiredName } from '../../../src/csi/parse/fields.ts';
import { parseCreateGroup } from '../../../src/csi/parse/group.ts';
import { requiredPath, requiredVolumePath } from '../../../src/csi/parse/path.ts';
import { parsePlacement } from '../../../src/csi/parse/topology.ts';
import { renderTimestamp } from '../../../src/csi/render/timestamp.ts';
import { type CsiDriver, MOUNT, startCsiDriver } from '../support/csi-driver.ts';

type Code = DriverError['code'];
const BIG = '9223372036854775807';

test.each([
  [null, {}],
  [{ requiredBytes: '0', limitBytes: '0' }, {}],
  [
    { requiredBytes: '9007199254740993', limitBytes: BIG },
    { requiredBytes: 2n ** 53n + 1n, limitBytes: 2n ** 63n - 1n },
  ],
  // As strings the second would be less than the first.
  [
    { requiredBytes: '9663676416', limitBytes: '10737418240' },
    { requiredBytes: 9663676416n, limitBytes: 10737418240n },
  ],
])('capacity range %j', (wire, range) => {
  expect(parseCapacityRange('capacity_range', wire)).toEqual(range);
});

test.each<[string, string, Code, string]>([
  ['-1', '0', 'invalid-argument', 'capacity_range.required_bytes: -1 is negative'],
  ['0', '-9223372036854775808', 'invalid-argument', 'capacity_range.limit_bytes: -9223372036854775808 is negative'],
  [BIG, '9223372036854775806', 'out-of-range', 'capacity_range: required_bytes'],
  ['2', '1', 'out-of-range', 'capacity_range: required_bytes 2 is more than limit_bytes 1'],
])('capacity range from %s to %s is refused', (requiredBytes, limitBytes, code, message) => {
  expect(() => parseCapacityRange('capacity_range', { requiredBytes, limitBytes })).toThrow(
    expect.objectContaining({ code, message: expect.stringContaining(message) }),
  );
});

test.each([
  ['/a', '/a'],
  ['/a/', '/a'],
  ['//a//b/./c/', '/a/b/c'],
  ['/a/..b/c...', '/a/..b/c...'],
  ['/a b\n', '/a b\n'],
  [`/${'x'.repeat(255)}`, `/${'x'.repeat(255)}`],
])('path %j', (value, path) => {
  expect(requiredPath('p', value)).toBe(path);
});

test.each([
  '',
  '/',
  '//',
  '/.',
  'a',
  './a',
  '/a/..',
  '/../a',
  '/a/../b',
  '/\0',
  `/${'x'.repeat(256)}`,
  '/x'.repeat(2048),
  '/\ud800',
])('path %j is refused', (value) => {
  expect(() => requiredPath('p', value)).toThrow(expect.objectContaining({ code: 'invalid-argument' }));
});

test('a relative path can not be where a volume is, and is no malformed request', () => {
  expect(requiredVolumePath('volume_path', 'some/path')).toBeUndefined();
  expect(requiredVolumePath('volume_path', '/some/path/')).toBe('/some/path');
  expect(() => requiredVolumePath('volume_path', '')).toThrow('volume_path: required');
  expect(() => requiredVolumePath('volume_path', '../x')).toThrow('volume_path');
});

test.each(['x', 'a\tb\nc\r', 'ünïcode 雪 \u{1f4a9}', 'é'.repeat(64), '../..', 'x'.repeat(128)])(
  'name %j is a name',
  (name) => {
    expect(requiredName('name', name)).toBe(name);
  },
);

test.each([
  '',
  '\0',
  'a\u0008',
  '\u000b',
  '\u000c',
  '\u001f',
  '\u007f',
  '\u009f',
  '\ud800',
  'x'.repeat(129),
  'é'.repeat(65),
])('name %j is none', (name) => {
  expect(() => requiredName('name', name)).toThrow(expect.objectContaining({ code: 'invalid-argument' }));
});

test('maps have 4 KiB, lists no duplicates', () => {
  expect(boundedMap('m', { a: 'x'.repeat(4095) })).toBeDefined();
  expect(() => boundedMap('m', { a: 'x'.repeat(4096) })).toThrow('m: has 4097 bytes, the limit is 4096');
  expect(() => requiredIds('ids', ['a', 'b', 'a'])).toThrow('ids[2]: the same as ids[0]');
  expect(() => requiredIds('ids', ['a', ''])).toThrow('ids[1]: required');
  expect(() => requiredIds('ids', [])).toThrow('ids: required');
});

describe('capabilities', () => {
  const mode = (each: string) => ({ accessMode: { mode: each as 'UNKNOWN' } });
  const mount = (fields: object) => ({ mount: { fsType: '', mountFlags: [], volumeMountGroup: '', ...fields } });
  const WRITER = mode('SINGLE_NODE_WRITER');

  test('what they hold', () => {
    const wire = { ...WRITER, ...mount({ fsType: 'xfs', mountFlags: ['noatime,ro'], volumeMountGroup: '4294967294' }) };
    expect(parseCapability('c', wire)).toEqual({
      kind: 'supported',
      capability: {
        mode: 'SINGLE_NODE_WRITER',
        access: { kind: 'mount', fsType: 'xfs', mountFlags: ['noatime,ro'], mountGroup: 4294967294 },
      },
    });
    expect(parseCapability('c', { ...WRITER, ...mount({}) })).toMatchObject({
      capability: { access: { kind: 'mount', mountFlags: [] } },
    });
    expect(parseCapability('c', { ...WRITER, block: {} })).toMatchObject({ capability: { access: { kind: 'block' } } });
  });

  test.each(['MULTI_NODE_READER_ONLY', 'MULTI_NODE_SINGLE_WRITER', 'MULTI_NODE_MULTI_WRITER'])(
    '%s is not supported',
    (each) => {
      const parsed = parseCapability('c', { ...mode(each), block: {} });
      expect(parsed).toMatchObject({
        kind: 'unsupported',
        reason: expect.stringMatching(/^c\.access_mode\.mode: MULTI/),
      });
    },
  );

  test('a mode of a later specification arrives as a number, and is not supported', () => {
    const wire = { accessMode: { mode: 42 as unknown as 'UNKNOWN' }, block: {} };
    expect(parseCapability('c', wire)).toMatchObject({ kind: 'unsupported', reason: expect.stringContaining('42') });
  });

  test.each<[string, object | null]>([
    ['c: required', null],
    ['c: block or mount', { ...WRITER }],
    ['c.access_mode.mode: required', { block: {}, accessMode: null }],
    ['c.access_mode.mode: required', { block: {}, ...mode('UNKNOWN') }],
    ['c.mount.mount_flags[1]: empty', { ...WRITER, ...mount({ mountFlags: ['a', ' '] }) }],
    ['c.mount.mount_flags[0]: control', { ...WRITER, ...mount({ mountFlags: ['a\nb'] }) }],
    ['c.mount.mount_flags[0]: "bind"', { ...WRITER, ...mount({ mountFlags: ['ro,bind'] }) }],
    ['c.mount.mount_flags[0]: "loop"', { ...WRITER, ...mount({ mountFlags: ['LOOP=/dev/loop0'] }) }],
    ['c.mount.mount_flags[0]: "x-mount.mkdir"', { ...WRITER, ...mount({ mountFlags: ['X-mount.mkdir=0777'] }) }],
    ['c.mount.mount_flags[0]: "verity.hashdevice"', { ...WRITER, ...mount({ mountFlags: ['verity.hashdevice=/x'] }) }],
    ['c.mount.mount_flags[0]: "logdev"', { ...WRITER, ...mount({ mountFlags: ['logdev=/dev/sda'] }) }],
    ['c.mount.mount_flags[1]: a quote', { ...WRITER, ...mount({ mountFlags: ['context="a,b"', 'x="a'] }) }],
    ['c.mount.mount_flags: "ro" and "rw"', { ...WRITER, ...mount({ mountFlags: ['noatime,rw', 'ro'] }) }],
    ['c.mount.mount_flags: has 5000 bytes', { ...WRITER, ...mount({ mountFlags: ['x'.repeat(5000)] }) }],
    ['c.mount.volume_mount_group: "staff"', { ...WRITER, ...mount({ volumeMountGroup: 'staff' }) }],
    ['c.mount.volume_mount_group: "-1"', { ...WRITER, ...mount({ volumeMountGroup: '-1' }) }],
    ['c.mount.volume_mount_group: "4294967295"', { ...WRITER, ...mount({ volumeMountGroup: '4294967295' }) }],
  ])('malformed: %s', (message, wire) => {
    expect(() => parseCapability('c', wire as Parameters<typeof parseCapability>[1])).toThrow(
      expect.objectContaining({ code: 'invalid-argument', message: expect.stringContaining(message) }),
    );
  });
});

test('topology is in our words, case aside', () => {
  const at = (segments: Record<string, string>) => ({ requisite: [{ segments }], preferred: [] });
  expect(parsePlacement('t', at({ [TOPOLOGY_KEY.toUpperCase()]: 'a' }))).toEqual({ requisite: ['a'], preferred: [] });
  expect(parsePlacement('t', null)).toEqual({ requisite: [], preferred: [] });
  expect(() => parsePlacement('t', at({ 'zone/x': 'a' }))).toThrow('t.requisite[0].segments: "zone/x" is not known');
  expect(() => parsePlacement('t', at({}))).toThrow(`t.requisite[0].segments: ${TOPOLOGY_KEY} is required`);
});

test('a group without its fence can be asked for in the test build, and nothing else', () => {
  const wire = { name: 'g', sourceVolumeIds: ['v'], secrets: {} };
  expect(parseCreateGroup({ ...wire, parameters: {} }).fenced).toBe(true);
  expect(parseCreateGroup({ ...wire, parameters: { [NO_FENCE_PARAMETER]: 'true' } }).fenced).toBe(false);
  expect(() => parseCreateGroup({ ...wire, parameters: { [NO_FENCE_PARAMETER]: 'yes' } })).toThrow('parameters: ');
  expect(() => parseCreateGroup({ ...wire, parameters: { other: '1' } })).toThrow('parameters: "other" is not known');
});

test('times', () => {
  expect(renderTimestamp(1_700_000_000_123)).toEqual({ seconds: '1700000000', nanos: 123_000_000 });
  expect(renderTimestamp(0)).toEqual({ seconds: '0', nanos: 0 });
});

/** The specification's order of checks, as csi-sanity asks for it. */
const cases: readonly (readonly [string, (driver: CsiDriver) => Promise<unknown>, Code, string])[] = [
  ['CreateVolume: name first', (d) => d.controller.CreateVolume({}), 'invalid-argument', 'name: required'],
  [
    'then capabilities',
    (d) => d.controller.CreateVolume({ name: 'x' }),
    'invalid-argument',
    'volume_capabilities: required',
  ],
  ['stage: id', (d) => d.nodes.NodeStageVolume({}), 'invalid-argument', 'volume_id: required'],
  [
    'stage: path',
    (d) => d.nodes.NodeStageVolume({ volumeId: 'x' }),
    'invalid-argument',
    'staging_target_path: required',
  ],
  [
    'stage: capability',
    (d) => d.nodes.NodeStageVolume({ volumeId: 'x', stagingTargetPath: '/s' }),
    'invalid-argument',
    'volume_capability: required',
  ],
  [
    'stage: exceeds capabilities',
    (d) =>
      d.nodes.NodeStageVolume({
        volumeId: 'x',
        stagingTargetPath: '/s',
        volumeCapability: { ...MOUNT, accessMode: { mode: 'MULTI_NODE_MULTI_WRITER' } },
      }),
    'failed-precondition',
    'volume_capability.access_mode.mode: MULTI_NODE_MULTI_WRITER',
  ],
  ['publish: target', (d) => d.nodes.NodePublishVolume({ volumeId: 'x' }), 'invalid-argument', 'target_path: required'],
  [
    'publish: not staged',
    (d) => d.nodes.NodePublishVolume({ volumeId: 'x', targetPath: '/t', volumeCapability: MOUNT }),
    'failed-precondition',
    'staging_target_path: ',
  ],
  ['stats: path', (d) => d.nodes.NodeGetVolumeStats({ volumeId: 'x' }), 'invalid-argument', 'volume_path: required'],
  [
    'stats: relative path',
    (d) => d.nodes.NodeGetVolumeStats({ volumeId: volumeId('node-a', 'v'), volumePath: 'some/path' }),
    'not-found',
    'some/path',
  ],
  [
    'expand: unknown volume, no range',
    (d) => d.nodes.NodeExpandVolume({ volumeId: 'x', volumePath: 'some/path' }),
    'not-found',
    'x',
  ],
  [
    'expand: no range',
    (d) => d.controller.ControllerExpandVolume({ volumeId: 'x' }),
    'invalid-argument',
    'capacity_range: required',
  ],
  [
    'expand: capability',
    (d) =>
      d.controller.ControllerExpandVolume({
        volumeId: 'x',
        capacityRange: { requiredBytes: '1' },
        volumeCapability: { block: {}, accessMode: { mode: 'MULTI_NODE_READER_ONLY' } },
      }),
    'invalid-argument',
    'volume_capability.access_mode.mode: ',
  ],
  ['list: negative', (d) => d.controller.ListVolumes({ maxEntries: -1 }), 'invalid-argument', 'max_entries: -1'],
  ['list: token', (d) => d.controller.ListSnapshots({ startingToken: 'x' }), 'aborted', 'starting_token: '],
  ['snapshot: name', (d) => d.controller.CreateSnapshot({ sourceVolumeId: 'x' }), 'invalid-argument', 'name: required'],
  [
    'snapshot: source',
    (d) => d.controller.CreateSnapshot({ name: 'x' }),
    'invalid-argument',
    'source_volume_id: required',
  ],
  ['group: name', (d) => d.groups.CreateVolumeGroupSnapshot({}), 'invalid-argument', 'name: required'],
  [
    'group: members',
    (d) => d.groups.CreateVolumeGroupSnapshot({ name: 'g' }),
    'invalid-argument',
    'source_volume_ids: required',
  ],
  [
    'group: twice',
    (d) => d.groups.CreateVolumeGroupSnapshot({ name: 'g', sourceVolumeIds: ['a', 'a'] }),
    'invalid-argument',
    'source_volume_ids[1]: the same',
  ],
  ['group: get', (d) => d.groups.GetVolumeGroupSnapshot({ groupSnapshotId: 'x' }), 'not-found', 'group snapshot'],
  [
    'mutable',
    (d) => d.controller.CreateVolume({ name: 'x', volumeCapabilities: [MOUNT], mutableParameters: { a: 'b' } }),
    'invalid-argument',
    'mutable_parameters: "a"',
  ],
  [
    'source of nothing',
    (d) => d.controller.CreateVolume({ name: 'x', volumeCapabilities: [MOUNT], volumeContentSource: {} }),
    'invalid-argument',
    'volume_content_source: ',
  ],
];

test('order and codes of checks', async () => {
  await using driver = await startCsiDriver();
  for (const [what, call, code, message] of cases) {
    const error: unknown = await call(driver).catch((thrown: unknown) => thrown);
    expect({ what, error }).toMatchObject({ what, error: { code, message: expect.stringContaining(message) } });
  }
});
