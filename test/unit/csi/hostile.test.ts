/**
 * Every RPC, with every field wrong in every way: an answer is OK or a code that says what to do, never INTERNAL, and an
 * INVALID_ARGUMENT names the field.
 */
import { loadSync, type MessageTypeDefinition, type ServiceDefinition } from '@grpc/proto-loader';
import { expect, test } from '@jest/globals';
import { DriverError } from '../../../src/core/errors.ts';
import { groupId, snapshotId, volumeId } from '../../../src/core/ids.ts';
import { TOPOLOGY_KEY } from '../../../src/core/names.ts';
import type { RpcClient } from '../../../src/rpc/client.ts';
import { BLOCK, type CsiDriver, MOUNT, startCsiDriver } from '../support/csi-driver.ts';

interface FieldType {
  readonly name: string;
  readonly type: string;
  readonly label: string;
  readonly typeName: string;
}

interface MessageType {
  readonly name: string;
  readonly field: readonly FieldType[];
  readonly nestedType: readonly MessageType[];
}

/** Thousands of calls; milliseconds. */
const LONG = 60_000;

const definition = loadSync('csi-proto/csi.proto', { longs: String, enums: String, defaults: true, oneofs: true });

const long = (text: string, bytes: number) => text.repeat(Math.ceil(bytes / text.length));
const VOLUME = volumeId('node-a', 'exists');

const STRINGS = [
  '',
  '0',
  VOLUME,
  volumeId('node-a', 'none'),
  volumeId('node-b', 'x'),
  snapshotId('node-a', 'x'),
  groupId('node-a', 'x'),
  '../../etc/passwd',
  '/',
  '//',
  '/a/../b',
  '/proc/self/root/../..',
  '/ok/path/',
  'relative/path',
  '\0',
  '/a\0b',
  'a\nb',
  '\u0007',
  '\u0085',
  '\u202e\u{1f4a9}é',
  '\ud800',
  '__proto__',
  'constructor',
  '$(reboot)',
  '; rm -rf /',
  '-o',
  '%s%n',
  'vol-../../x.node-a',
  `${VOLUME}/..`,
  `vol-${'a'.repeat(26)}.${'n'.repeat(97)}`,
  long('x', 128),
  long('é', 128),
  long('x', 129),
  long('/x', 4096),
  `/${long('x', 256)}`,
  long('x', 100_000),
  TOPOLOGY_KEY,
  'csi.storage.k8s.io/pvc/name',
  'csi.cofferdam.io/test-no-fence',
  'true',
  'ext4',
  'bind',
  '4294967295',
];
const INT64S = ['0', '1', '-1', '-9223372036854775808', '9007199254740993', '9223372036854775807', '1073741824'];
const INT32S = [0, 1, -1, 2 ** 31 - 1, -(2 ** 31)];

/** Repeatable: the same seed, the same requests (mulberry32). */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

function generate(message: MessageType, next: () => number, outer: readonly MessageType[] = []): object {
  const scope = [...message.nestedType, ...outer];
  const value: Record<string, unknown> = {};
  for (const field of message.field) {
    if (next() < 0.25) continue;
    const one = () => generateOne(field, next, scope);
    const find = field.type === 'TYPE_MESSAGE' ? lookup(field.typeName, scope) : undefined;
    if (field.label !== 'LABEL_REPEATED') value[field.name] = one();
    else if (field.type === 'TYPE_MESSAGE' && !find) value[field.name] = generateMap(next);
    else value[field.name] = Array.from({ length: Math.floor(next() * 4) }, one);
  }
  return value;
}

function generateOne(field: FieldType, next: () => number, scope: readonly MessageType[]): unknown {
  switch (field.type) {
    case 'TYPE_STRING':
      return pick(STRINGS, next);
    case 'TYPE_INT64':
      return pick(INT64S, next);
    case 'TYPE_INT32':
      return pick(INT32S, next);
    case 'TYPE_BOOL':
      return next() < 0.5;
    case 'TYPE_ENUM':
      return Math.floor(next() * 10) - 1 || 99;
    default: {
      const type = lookup(field.typeName, scope);
      if (!type) throw new Error(`no type ${field.typeName}`);
      return generate(type, next, scope);
    }
  }
}

function generateMap(next: () => number): Record<string, string> {
  const entries = Array.from({ length: Math.floor(next() * 3) }, () => [pick(STRINGS, next), pick(STRINGS, next)]);
  return Object.fromEntries(entries);
}

function lookup(typeName: string, scope: readonly MessageType[]): MessageType | undefined {
  const nested = scope.find(({ name }) => name === typeName);
  const top = definition[`csi.v1.${typeName}`];
  return nested ?? (top && 'format' in top ? (top.type as MessageType) : undefined);
}

function pick<T>(from: readonly T[], next: () => number): T {
  const value = from[Math.floor(next() * from.length)];
  if (value === undefined) throw new Error('empty pool');
  return value;
}

/** Whatever the RPC, a field's name in the protocol's words, then why. */
const NAMES_FIELD = /^[a-z_]+(\[\d+\])?(\.[a-z_]+(\[\d+\])?)*: ./s;

type AnyClient = Readonly<Record<string, (request: object) => Promise<unknown>>>;

async function expectAnswer(client: AnyClient, method: string, request: object): Promise<string> {
  try {
    await client[method]?.(request);
    return 'ok';
  } catch (error) {
    const text = () => `${method} ${JSON.stringify(request).slice(0, 2000)}`;
    if (!(error instanceof DriverError)) throw new Error(`no DriverError: ${text()}`, { cause: error });
    if (error.code === 'internal') throw new Error(`INTERNAL: ${error.message}: ${text()}`);
    if (error.code === 'invalid-argument' && !NAMES_FIELD.test(error.message)) {
      throw new Error(`no field is named in ${JSON.stringify(error.message)}: ${text()}`);
    }
    return error.code;
  }
}

function clientsOf(driver: CsiDriver): readonly (readonly [string, AnyClient])[] {
  const any = (client: RpcClient<never>) => client as unknown as AnyClient;
  return [
    ['csi.v1.Identity', any(driver.identity as RpcClient<never>)],
    ['csi.v1.Controller', any(driver.controller as RpcClient<never>)],
    ['csi.v1.GroupController', any(driver.groups as RpcClient<never>)],
    ['csi.v1.Node', any(driver.nodes as RpcClient<never>)],
  ];
}

test(
  'random requests to every RPC',
  async () => {
    await using driver = await startCsiDriver({ health: true, snapshotTopology: true });
    const next = random(20261122);
    const codes = new Map<string, number>();
    for (const [name, client] of clientsOf(driver)) {
      const service = definition[name] as ServiceDefinition;
      for (const [method, { requestType }] of Object.entries(service)) {
        const type = (requestType as MessageTypeDefinition<object, object>).type as MessageType;
        for (let i = 0; i < 150; i++) {
          const code = await expectAnswer(client, method, generate(type, next));
          codes.set(code, (codes.get(code) ?? 0) + 1);
        }
      }
    }
    // The generator reaches the services, and not only the parsers.
    expect([...codes.keys()]).toEqual(
      expect.arrayContaining(['ok', 'invalid-argument', 'not-found', 'aborted', 'unimplemented']),
    );
  },
  LONG,
);

/** A request of each RPC that is right in every field. */
const RIGHT: Readonly<Record<string, readonly [service: string, request: object]>> = {
  CreateVolume: [
    'csi.v1.Controller',
    {
      name: 'new',
      capacityRange: { requiredBytes: '1073741824', limitBytes: '2147483648' },
      volumeCapabilities: [{ ...MOUNT, mount: { fsType: 'ext4', mountFlags: ['noatime'], volumeMountGroup: '1000' } }],
      parameters: { 'csi.storage.k8s.io/pvc/name': 'x' },
      secrets: { a: 'b' },
      volumeContentSource: { volume: { volumeId: VOLUME } },
      accessibilityRequirements: {
        requisite: [{ segments: { [TOPOLOGY_KEY]: 'node-a' } }],
        preferred: [{ segments: { [TOPOLOGY_KEY]: 'node-a' } }],
      },
      mutableParameters: {},
    },
  ],
  DeleteVolume: ['csi.v1.Controller', { volumeId: volumeId('node-a', 'new'), secrets: {} }],
  ValidateVolumeCapabilities: ['csi.v1.Controller', { volumeId: VOLUME, volumeCapabilities: [BLOCK], parameters: {} }],
  ListVolumes: ['csi.v1.Controller', { maxEntries: 1, startingToken: '' }],
  GetCapacity: [
    'csi.v1.Controller',
    { volumeCapabilities: [MOUNT], parameters: {}, accessibleTopology: { segments: { [TOPOLOGY_KEY]: 'node-a' } } },
  ],
  CreateSnapshot: ['csi.v1.Controller', { sourceVolumeId: VOLUME, name: 's', parameters: {}, secrets: {} }],
  ListSnapshots: ['csi.v1.Controller', { maxEntries: 1, startingToken: '', sourceVolumeId: VOLUME, snapshotId: '' }],
  GetSnapshot: ['csi.v1.Controller', { snapshotId: snapshotId('node-a', 's') }],
  ControllerExpandVolume: [
    'csi.v1.Controller',
    { volumeId: VOLUME, capacityRange: { requiredBytes: '1073741824', limitBytes: '0' }, volumeCapability: MOUNT },
  ],
  ControllerGetVolume: ['csi.v1.Controller', { volumeId: VOLUME }],
  CreateVolumeGroupSnapshot: [
    'csi.v1.GroupController',
    { name: 'g', sourceVolumeIds: [VOLUME], parameters: {}, secrets: {} },
  ],
  NodeStageVolume: [
    'csi.v1.Node',
    { volumeId: VOLUME, stagingTargetPath: '/stage', volumeCapability: MOUNT, publishContext: {}, volumeContext: {} },
  ],
  NodePublishVolume: [
    'csi.v1.Node',
    { volumeId: VOLUME, stagingTargetPath: '/stage', targetPath: '/target', volumeCapability: BLOCK, readonly: true },
  ],
  NodeUnstageVolume: ['csi.v1.Node', { volumeId: VOLUME, stagingTargetPath: '/stage' }],
  NodeUnpublishVolume: ['csi.v1.Node', { volumeId: VOLUME, targetPath: '/target' }],
  NodeGetVolumeStats: ['csi.v1.Node', { volumeId: VOLUME, volumePath: '/target', stagingTargetPath: '/stage' }],
  NodeExpandVolume: [
    'csi.v1.Node',
    {
      volumeId: VOLUME,
      volumePath: '/target',
      capacityRange: { requiredBytes: '1', limitBytes: '0' },
      volumeCapability: MOUNT,
    },
  ],
};

/** The request with one of its values replaced, for every value and every replacement. */
function* mutations(value: unknown): Generator<unknown> {
  if (typeof value === 'string') yield* /^\d+$/.test(value) ? INT64S : STRINGS;
  else if (typeof value === 'number') yield* INT32S;
  else if (Array.isArray(value)) {
    yield [];
    yield [...value, ...value];
    for (const [i, item] of value.entries()) for (const other of mutations(item)) yield value.with(i, other);
  } else if (typeof value === 'object' && value !== null) {
    for (const [key, item] of Object.entries(value)) {
      yield Object.fromEntries(Object.entries(value).filter(([other]) => other !== key));
      for (const other of mutations(item)) yield { ...value, [key]: other };
    }
  }
}

test.each(Object.entries(RIGHT))(
  '%s with one thing wrong',
  async (method, [service, request]) => {
    await using driver = await startCsiDriver();
    const client = new Map(clientsOf(driver)).get(service);
    if (!client) throw new Error(`no client of ${service}`);
    await driver.controller.CreateVolume({ name: 'exists', volumeCapabilities: [MOUNT] });
    await driver.controller.CreateSnapshot({ name: 's', sourceVolumeId: VOLUME });
    expect(await expectAnswer(client, method, request)).toBe('ok');
    for (const mutation of mutations(request)) {
      // An enum by a name that there is not can't be sent.
      if (JSON.stringify(mutation).includes('"mode":') && !JSON.stringify(mutation).includes('"SINGLE_NODE_WRITER"'))
        continue;
      await expectAnswer(client, method, mutation as object);
    }
  },
  LONG,
);
