import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { loadSync, type PackageDefinition, type ServiceDefinition } from '@grpc/proto-loader';
import { DriverError } from '../core/errors.ts';

/** One service of a .proto file, as gRPC wants it. */
export type LoadedService = ServiceDefinition;

export interface LoadedProto {
  /** @param name with its package: `csi.v1.Controller` */
  service(name: string): LoadedService;
}

/** Parsed once: it is a tenth of the start. */
const loaded = new Map<string, PackageDefinition>();

/**
 * Loads a .proto file of this package.
 *
 * 64-bit numbers and enums arrive as strings, absent fields with their defaults (absent messages as null), bytes as
 * Buffer. A value of an enum that is unknown arrives as a number.
 * @param file relative to the root of the package: `csi-proto/csi.proto`
 * @throws DriverError internal when the package is not whole
 */
export function loadProto(file: string): LoadedProto {
  const definition = loaded.get(file) ?? parse(file);
  loaded.set(file, definition);
  return { service: (name) => pick(definition, name, file) };
}

function parse(file: string): PackageDefinition {
  return loadSync(findInPackage(file), { longs: String, enums: String, bytes: Buffer, defaults: true, oneofs: true });
}

function pick(definition: PackageDefinition, name: string, file: string): LoadedService {
  const found = definition[name];
  // Messages and enums are in the same table; only they have a format.
  if (!found || 'format' in found) throw new DriverError('internal', `${file} has no service ${name}`);
  return found as LoadedService;
}

/** Sources run from src/, the build from dist/src/: the root is the nearest folder above that has the file. */
function findInPackage(file: string): string {
  for (let folder = import.meta.dirname; ; folder = dirname(folder)) {
    const candidate = join(folder, file);
    if (existsSync(candidate)) return candidate;
    if (folder === dirname(folder)) throw new DriverError('internal', `${file} is missing from the package`);
  }
}
