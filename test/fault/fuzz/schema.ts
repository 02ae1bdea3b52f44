/** The requests of every RPC, field by field, as csi.proto has them: no field can be forgotten. */
import path from 'node:path';
import { loadSync } from '@grpc/proto-loader';
import { CSI_PROTO } from '../../../src/csi/services.ts';
import type { LoadedService } from '../../../src/rpc/proto.ts';
import { ROOT } from '../../support/command.ts';

export interface Field {
  /** As in the protocol: `volume_id`. */
  readonly name: string;
  readonly kind: 'string' | 'int32' | 'int64' | 'bool' | 'enum' | 'message' | 'map';
  readonly repeated: boolean;
  /** Of a message. */
  readonly fields: readonly Field[];
}

export interface Rpc {
  /** `Controller` */
  readonly service: string;
  readonly method: string;
  readonly fields: readonly Field[];
}

/** google/protobuf/descriptor.proto, as much of it as is looked at. */
interface MessageDescriptor {
  readonly name: string;
  readonly field: readonly {
    readonly name: string;
    readonly type: string;
    readonly typeName: string;
    readonly label: string;
  }[];
  readonly nestedType: readonly MessageDescriptor[];
  readonly options: { readonly mapEntry?: boolean } | null;
}

const SERVED = ['Identity', 'Controller', 'GroupController', 'Node'] as const;
const KINDS: Readonly<Record<string, Field['kind']>> = {
  TYPE_STRING: 'string',
  TYPE_INT32: 'int32',
  TYPE_INT64: 'int64',
  TYPE_BOOL: 'bool',
  TYPE_ENUM: 'enum',
  TYPE_MESSAGE: 'message',
};

// With the names of the protocol, which the driver's answers use too.
const definition = loadSync(path.join(ROOT, CSI_PROTO), { keepCase: true, longs: String, enums: String, oneofs: true });

/** What a client of this schema is made of. */
export function serviceOf(name: string): LoadedService {
  return definition[`csi.v1.${name}`] as LoadedService;
}

export const RPCS: readonly Rpc[] = SERVED.flatMap((service) =>
  Object.entries(serviceOf(service)).map(([method, { requestType }]) => ({
    service,
    method,
    fields: fieldsOf((requestType as unknown as { readonly type: MessageDescriptor }).type, []),
  })),
);

function fieldsOf(message: MessageDescriptor, around: readonly MessageDescriptor[]): readonly Field[] {
  return message.field.map(({ name, type, typeName, label }) => {
    const kind = KINDS[type];
    if (!kind) throw new Error(`${message.name}.${name}: ${type} is new here`);
    const repeated = label === 'LABEL_REPEATED';
    if (kind !== 'message') return { name, kind, repeated, fields: [] };
    const inner = find(typeName, [message, ...around]);
    if (inner.options?.mapEntry) return { name, kind: 'map', repeated: false, fields: [] };
    return { name, kind, repeated, fields: fieldsOf(inner, [message, ...around]) };
  });
}

/** From the inside out, then at the top. */
function find(name: string, around: readonly MessageDescriptor[]): MessageDescriptor {
  const nested = around.flatMap(({ nestedType }) => nestedType).find((type) => type.name === name);
  const found = nested ?? (definition[`csi.v1.${name}`] as { readonly type: MessageDescriptor } | undefined)?.type;
  if (!found) throw new Error(`there is no message ${name}`);
  return found;
}

export type Message = { readonly [name: string]: unknown };
export type Path = readonly (string | number)[];

export interface Place {
  readonly path: Path;
  readonly field: Field;
}

/** Every field of a request, at any depth; in lists of messages, those of the first. */
export function placesIn(fields: readonly Field[], path: Path = []): readonly Place[] {
  return fields.flatMap((field) => {
    const own = [...path, field.name];
    return [{ path: own, field }, ...placesIn(field.fields, field.repeated ? [...own, 0] : own)];
  });
}

/** A copy with one value changed; messages on the way are made. */
export function withValue(request: unknown, [step, ...rest]: Path, value: unknown): unknown {
  if (step === undefined) return value;
  if (typeof step === 'number') {
    const list = Array.isArray(request) ? [...(request as unknown[])] : [];
    list[step] = withValue(list[step], rest, value);
    return list;
  }
  const message = { ...(request as Message | undefined) };
  return { ...message, [step]: withValue(message[step], rest, value) };
}
