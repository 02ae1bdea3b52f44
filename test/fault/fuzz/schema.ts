/** The requests of every RPC, field by field, as its .proto has them: no field can be forgotten. */
import path from 'node:path';
import { loadSync, type PackageDefinition } from '@grpc/proto-loader';
import { CSI_PROTO } from '../../../src/csi/services.ts';
import type { LoadedService } from '../../../src/rpc/proto.ts';
import { ROOT } from '../../support/command.ts';

export interface Field {
  /** As in the protocol: `volume_id`. */
  readonly name: string;
  readonly kind: 'string' | 'int32' | 'int64' | 'uint32' | 'uint64' | 'bool' | 'enum' | 'message' | 'map';
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
  TYPE_UINT32: 'uint32',
  TYPE_UINT64: 'uint64',
  TYPE_BOOL: 'bool',
  TYPE_ENUM: 'enum',
  TYPE_MESSAGE: 'message',
};

/** The messages of one package of a .proto file. */
export class Schema {
  readonly #package: string;
  readonly #definition: PackageDefinition;

  /** @param file relative to the root of the project */
  constructor(file: string, name: string) {
    this.#package = name;
    // With the names of the protocol, which the driver's answers use too.
    this.#definition = loadSync(path.join(ROOT, file), { keepCase: true, longs: String, enums: String, oneofs: true });
  }

  /** What a client of this schema is made of. */
  serviceOf(name: string): LoadedService {
    return this.#definition[`${this.#package}.${name}`] as LoadedService;
  }

  rpcsOf(service: string): readonly Rpc[] {
    return Object.entries(this.serviceOf(service)).map(([method, { requestType }]) => ({
      service,
      method,
      fields: this.#fieldsOf((requestType as unknown as { readonly type: MessageDescriptor }).type, []),
    }));
  }

  #fieldsOf(message: MessageDescriptor, around: readonly MessageDescriptor[]): readonly Field[] {
    return message.field.map(({ name, type, typeName, label }) => {
      const kind = KINDS[type];
      if (!kind) throw new Error(`${message.name}.${name}: ${type} is new here`);
      const repeated = label === 'LABEL_REPEATED';
      if (kind !== 'message') return { name, kind, repeated, fields: [] };
      const inner = this.#find(typeName, [message, ...around]);
      if (inner.options?.mapEntry) return { name, kind: 'map', repeated: false, fields: [] };
      return { name, kind, repeated, fields: this.#fieldsOf(inner, [message, ...around]) };
    });
  }

  /** From the inside out, then at the top. */
  #find(name: string, around: readonly MessageDescriptor[]): MessageDescriptor {
    const nested = around.flatMap(({ nestedType }) => nestedType).find((type) => type.name === name);
    const top = this.#definition[`${this.#package}.${name}`] as { readonly type: MessageDescriptor } | undefined;
    const found = nested ?? top?.type;
    if (!found) throw new Error(`there is no message ${name}`);
    return found;
  }
}

const csi = new Schema(CSI_PROTO, 'csi.v1');

export function serviceOf(name: string): LoadedService {
  return csi.serviceOf(name);
}

export const RPCS: readonly Rpc[] = SERVED.flatMap((service) => csi.rpcsOf(service));

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
