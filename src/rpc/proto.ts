import type { INamespace, Method, Type } from 'protobufjs';
import protobuf from 'protobufjs/light.js';
import { DriverError } from '../core/errors.ts';

/** One RPC, as gRPC wants it. */
export interface LoadedMethod {
  /** `/csi.v1.Identity/Probe` */
  readonly path: string;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
  readonly requestSerialize: (message: object) => Buffer;
  readonly requestDeserialize: (bytes: Buffer) => object;
  readonly responseSerialize: (message: object) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => object;
}

/** One service of a .proto file. */
export type LoadedService = Readonly<Record<string, LoadedMethod>>;

export interface LoadedProto {
  /** @param name with its package: `csi.v1.Controller` @throws DriverError internal when there is none */
  service(name: string): LoadedService;
}

/** As the types in `gen` are generated. */
const MESSAGES = { longs: String, enums: String, defaults: true, oneofs: true } as const;

/** A connection to each of many agents needs the same. */
const loaded = new Map<INamespace, LoadedProto>();

/**
 * The services of a .proto file of this package. The code that reads and writes a message is made at its first use: most
 * messages are never used in a process.
 *
 * 64-bit numbers and enums arrive as strings, absent fields with their defaults (absent messages as null), bytes as
 * Buffer. A value of an enum that is unknown arrives as a number.
 * @param file as `npm run gen` has written it to `gen`
 */
export function loadProto(file: INamespace): LoadedProto {
  const proto = loaded.get(file) ?? load(file);
  loaded.set(file, proto);
  return proto;
}

function load(file: INamespace): LoadedProto {
  const root = protobuf.Root.fromJSON(file);
  return {
    service: (name) => {
      const service = root.lookup(name);
      if (!(service instanceof protobuf.Service)) throw new DriverError('internal', `there is no service ${name}`);
      return Object.fromEntries(service.methodsArray.map((method) => [method.name, loadMethod(name, method)]));
    },
  };
}

function loadMethod(service: string, { name, requestStream, responseStream, ...types }: Method): LoadedMethod {
  const { resolvedRequestType: request, resolvedResponseType: response } = types;
  if (!request || !response) throw new DriverError('internal', `${service}/${name} has messages that there are not`);
  return {
    path: `/${service}/${name}`,
    requestStream: requestStream ?? false,
    responseStream: responseStream ?? false,
    requestSerialize: writerOf(request),
    requestDeserialize: readerOf(request),
    responseSerialize: writerOf(response),
    responseDeserialize: readerOf(response),
  };
}

function writerOf(type: Type): (message: object) => Buffer {
  // protobufjs writes to Buffers where there are any, whatever its types say.
  return (message) => type.encode(type.fromObject(message)).finish() as Buffer;
}

function readerOf(type: Type): (bytes: Buffer) => object {
  return (bytes) => type.toObject(type.decode(bytes), MESSAGES);
}
