/** What the values of options may be: each turns text into a value, or throws invalid-argument that says what is allowed. */
import { type Bytes, parseBytes } from '../core/bytes.ts';
import { invalidArgument } from '../core/errors.ts';
import { isNodeName, MAX_NODE_NAME_LENGTH } from '../core/ids.ts';
import { type Address, parseAddress } from '../rpc/address.ts';

export function parseSize(value: string, field: string): Bytes {
  return parseBytes(field, value);
}

export function text(value: string, field: string): string {
  if (value === '') throw invalidArgument(field, 'must not be empty');
  return value;
}

export function nodeEndpoints(
  value: string,
  field: string,
): readonly { readonly name: string; readonly endpoint: string }[] {
  return value.split(',').map((item) => {
    const [, name, endpoint] = /^([^=]+)=(.+)$/.exec(item) ?? [];
    if (name === undefined || endpoint === undefined) {
      throw invalidArgument(field, `${JSON.stringify(item)} must be name=unix:///path`);
    }
    return { name, endpoint };
  });
}

export function absolutePath(value: string, field: string): string {
  if (!value.startsWith('/') || value.includes('\0')) throw invalidArgument(field, 'must be an absolute path');
  return value;
}

/** A socket that only its owner opens, never a port: whoever reaches it can do what the driver can. */
export function socketPath(value: string, field: string): string {
  const address = parseAddress(field, value);
  if (address.kind === 'unix') return address.path;
  throw invalidArgument(field, `${JSON.stringify(value)} must be a unix socket, unix:///path`);
}

export function tcpAddress(value: string, field: string): Address {
  const address = parseAddress(field, value);
  if (address.kind === 'tcp') return address;
  throw invalidArgument(field, `${JSON.stringify(value)} must be tcp://host:port`);
}

/** lvm(8), "Valid names"; short enough for the names of devices, where every hyphen counts twice. */
export function lvmName(value: string, field: string): string {
  if (/^[A-Za-z0-9_+][A-Za-z0-9_+.-]{0,31}$/.test(value)) return value;
  throw invalidArgument(field, `${JSON.stringify(value)} must be letters, digits, "_", "+", "." and "-", 32 at most`);
}

export function nodeName(value: string, field: string): string {
  if (isNodeName(value)) return value;
  throw invalidArgument(
    field,
    `${JSON.stringify(value)} must be lower-case letters, digits, "-" and "." (RFC 1123), ${MAX_NODE_NAME_LENGTH} at most`,
  );
}

export function onOff(value: string, field: string): boolean {
  if (value === 'on' || value === 'true') return true;
  if (value === 'off' || value === 'false') return false;
  throw invalidArgument(field, `${JSON.stringify(value)} must be on or off`);
}

export function oneOf<T extends string>(allowed: readonly T[]): (value: string, field: string) => T {
  return (value, field) => {
    const found = allowed.find((candidate) => candidate === value);
    if (found === undefined)
      throw invalidArgument(field, `${JSON.stringify(value)} must be one of ${allowed.join(', ')}`);
    return found;
  };
}

export function integer(least: number, most: number): (value: string, field: string) => number {
  return (value, field) => {
    const number = /^\d{1,9}$/.test(value) ? Number(value) : Number.NaN;
    if (number >= least && number <= most) return number;
    throw invalidArgument(field, `${JSON.stringify(value)} must be a whole number from ${least} to ${most}`);
  };
}

export function decimal(least: number, most: number): (value: string, field: string) => number {
  return (value, field) => {
    const number = /^\d{1,6}(\.\d{1,4})?$/.test(value) ? Number(value) : Number.NaN;
    if (number >= least && number <= most) return number;
    throw invalidArgument(field, `${JSON.stringify(value)} must be a number from ${least} to ${most}`);
  };
}
