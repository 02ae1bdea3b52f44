import { posix } from 'node:path';
import { invalidArgument } from '../../core/errors.ts';

/** Linux limits: PATH_MAX counts the closing NUL. */
const MAX_PATH_BYTES = 4095;
const MAX_NAME_BYTES = 255;

/**
 * A path in the root filesystem: absolute, without `..`; made normal (no `//`, no `.`, no slash at the end).
 * @throws DriverError invalid-argument
 */
export function requiredPath(field: string, value: string): string {
  if (value === '') throw invalidArgument(field, 'required');
  const path = checkedPath(field, value);
  if (!path.startsWith('/')) throw invalidArgument(field, `${quote(value)} is not absolute`);
  if (path === '/') throw invalidArgument(field, 'the root folder is not a place for a volume');
  return path;
}

/** Undefined when it is empty. */
export function optionalPath(field: string, value: string): string | undefined {
  return value === '' ? undefined : requiredPath(field, value);
}

/**
 * A path where a volume is said to be. A relative one can't be where any volume is: undefined, so that the answer is
 * that of a wrong path (NOT_FOUND) and not of a malformed one, as csi-sanity has it.
 */
export function requiredVolumePath(field: string, value: string): string | undefined {
  if (value === '') throw invalidArgument(field, 'required');
  const path = checkedPath(field, value);
  return path.startsWith('/') && path !== '/' ? path : undefined;
}

function checkedPath(field: string, value: string): string {
  if (value.includes('\0')) throw invalidArgument(field, 'NUL is not allowed');
  if (!value.isWellFormed()) throw invalidArgument(field, 'not valid Unicode');
  const parts = value.split('/');
  if (parts.includes('..')) throw invalidArgument(field, `${quote(value)} has ".." in it`);
  if (Buffer.byteLength(value) > MAX_PATH_BYTES) throw invalidArgument(field, `longer than ${MAX_PATH_BYTES} bytes`);
  if (parts.some((part) => Buffer.byteLength(part) > MAX_NAME_BYTES)) {
    throw invalidArgument(field, `a part of it is longer than ${MAX_NAME_BYTES} bytes`);
  }
  const normal = posix.normalize(value);
  return normal.length > 1 && normal.endsWith('/') ? normal.slice(0, -1) : normal;
}

function quote(value: string): string {
  return JSON.stringify(value.length > 100 ? `${value.slice(0, 100)}...` : value);
}
