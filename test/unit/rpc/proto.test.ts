/** What is generated says the same as the .proto files, read by the loader that the types are generated for. */
import path from 'node:path';
import {
  loadSync,
  type MessageTypeDefinition,
  type PackageDefinition,
  type ServiceDefinition,
} from '@grpc/proto-loader';
import { describe, expect, test } from '@jest/globals';
import { AGENT_SERVICE } from '../../../src/agent/api.ts';
import { AGENT_PROTO } from '../../../src/gen/agent-proto.ts';
import { CSI_PROTO } from '../../../src/gen/csi-proto.ts';
import { loadProto } from '../../../src/rpc/proto.ts';
import { ROOT } from '../../support/command.ts';

const OPTIONS = { longs: String, enums: String, bytes: Buffer, defaults: true, oneofs: true };
const CASES = [
  ['csi', CSI_PROTO, 'csi.v1.Identity'],
  ['csi', CSI_PROTO, 'csi.v1.Controller'],
  ['csi', CSI_PROTO, 'csi.v1.GroupController'],
  ['csi', CSI_PROTO, 'csi.v1.Node'],
  ['agent', AGENT_PROTO, AGENT_SERVICE],
] as const;

interface Field {
  readonly number: number;
  readonly type: string;
  readonly typeName: string;
}

interface Message {
  readonly name: string;
  readonly field: readonly Field[];
  readonly nestedType: readonly Message[];
}

const LARGE = [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
const VALUES: Readonly<Record<string, { readonly wireType: number; readonly value: readonly number[] }>> = {
  TYPE_STRING: { wireType: 2, value: [4, ...Buffer.from('text')] },
  TYPE_BYTES: { wireType: 2, value: [2, 0xc3, 0x28] },
  TYPE_DOUBLE: { wireType: 1, value: [0, 0, 0, 0, 0, 0, 0xf8, 0x3f] },
  TYPE_INT64: { wireType: 0, value: LARGE },
  TYPE_UINT64: { wireType: 0, value: LARGE },
};

/** A message on the wire with something in every field, at any depth. @param around the messages that it is declared in */
function sampleOf(file: PackageDefinition, message: Message, around: readonly Message[] = []): readonly number[] {
  const inside = [message, ...around];
  const byName = (name: string) =>
    [...inside.flatMap(({ nestedType }) => nestedType), ...Object.values(file).map(typeOf)].find(
      (found) => found.name === name.replace(/^.*\./, ''),
    );
  return message.field.flatMap(({ number, type, typeName }) => {
    if (type !== 'TYPE_MESSAGE') {
      const { wireType, value } = VALUES[type] ?? { wireType: 0, value: [1] };
      return [...varint(number * 8 + wireType), ...value];
    }
    const found = byName(typeName);
    if (!found) throw new Error(`there is no message ${typeName}`);
    const value = sampleOf(file, found, inside);
    return [...varint(number * 8 + 2), ...varint(value.length), ...value];
  });
}

function typeOf(definition: PackageDefinition[string] | MessageTypeDefinition<object, object>): Message {
  return (definition as unknown as { readonly type?: Message }).type ?? { name: '', field: [], nestedType: [] };
}

function varint(value: number): readonly number[] {
  return value < 0x80 ? [value] : [(value % 0x80) | 0x80, ...varint(Math.floor(value / 0x80))];
}

describe.each(CASES)('%s.proto', (file, descriptor, service) => {
  const parsed = loadSync(path.join(ROOT, `csi-proto/${file}.proto`), OPTIONS);
  const theirs = parsed[service] as ServiceDefinition;
  const ours = loadProto(descriptor).service(service);

  test(`${service} has the same RPCs`, () => {
    const shapeOf = (definition: object) =>
      Object.values(definition).map(({ path, requestStream, responseStream }) => ({
        path,
        requestStream,
        responseStream,
      }));
    expect(Object.keys(ours)).toEqual(Object.keys(theirs));
    expect(shapeOf(ours)).toEqual(shapeOf(theirs));
  });

  test.each(Object.keys(theirs))(`${service}/%s is read and written the same way`, (name) => {
    const [mine, other] = [ours[name], theirs[name]];
    if (!mine || !other) throw new Error(`no ${name}`);
    for (const sample of [[], sampleOf(parsed, typeOf(other.requestType))]) {
      const read = mine.requestDeserialize(Buffer.from(sample));
      expect(read).toEqual(other.requestDeserialize(Buffer.from(sample)));
      expect(mine.requestSerialize(read)).toEqual(other.requestSerialize(read));
    }
    for (const sample of [[], sampleOf(parsed, typeOf(other.responseType))]) {
      const read = mine.responseDeserialize(Buffer.from(sample));
      expect(read).toEqual(other.responseDeserialize(Buffer.from(sample)));
      expect(mine.responseSerialize(read)).toEqual(other.responseSerialize(read));
    }
  });
});

test('what a file does not have is an error of ours', () => {
  expect(() => loadProto(CSI_PROTO).service('csi.v1.Nobody')).toThrow('csi.v1.Nobody');
  expect(() => loadProto(CSI_PROTO).service('csi.v1.Volume')).toThrow('csi.v1.Volume');
});
