/**
 * Fields of messages that came over the link, from a controller or from an agent: what is wrong with one is an
 * `invalid-argument` that names it as the protocol does.
 */
import type { Bytes } from '../../core/bytes.ts';
import { invalidArgument } from '../../core/errors.ts';
import { type NodeName, nodeOf, type ParsedId } from '../../core/ids.ts';
import { bytesOfMap, MAX_MAP_BYTES, MAX_STRING_BYTES } from '../../core/limits.ts';
import { isRoundToken, type RoundToken } from '../../core/round.ts';

/** @throws DriverError invalid-argument for a message that is absent */
export function required<T>(field: string, message: T | null | undefined): T {
  if (message === null || message === undefined) throw invalidArgument(field, 'required');
  return message;
}

/** An id of this kind, on any node. */
export function readId(field: string, kind: ParsedId['kind'], id: string): string {
  nodeIn(field, kind, id);
  return id;
}

/** An id of something on this node. */
export function readIdOn(node: NodeName, field: string, kind: ParsedId['kind'], id: string): string {
  if (nodeIn(field, kind, id) !== node) throw invalidArgument(field, `${shown(id)} is not on node ${node}`);
  return id;
}

function nodeIn(field: string, kind: ParsedId['kind'], id: string): NodeName {
  const node = nodeOf(kind, id);
  if (node === undefined) throw invalidArgument(field, `${shown(id)} is no id of a ${kind}`);
  return node;
}

export function readNode(expected: NodeName, field: string, node: string): NodeName {
  if (node !== expected) throw invalidArgument(field, `${shown(node)} is not ${expected}`);
  return node;
}

/** A name that the CO gave. */
export function readName(field: string, name: string): string {
  if (name === '') throw invalidArgument(field, 'required');
  const bytes = Buffer.byteLength(name);
  if (bytes > MAX_STRING_BYTES) throw invalidArgument(field, `has ${bytes} bytes, the limit is ${MAX_STRING_BYTES}`);
  return name;
}

export function readToken(field: string, token: string): RoundToken {
  if (!isRoundToken(token)) throw invalidArgument(field, `${shown(token)} is not 16 hexadecimal digits`);
  return token;
}

/** 64-bit numbers arrive as decimal strings (`rpc/proto.ts`). */
export function readSize(field: string, wire: string): Bytes {
  const bytes = BigInt(wire);
  if (bytes === 0n) throw invalidArgument(field, 'required');
  return bytes;
}

export function readMap(field: string, map: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const bytes = bytesOfMap(map);
  if (bytes > MAX_MAP_BYTES) throw invalidArgument(field, `has ${bytes} bytes, the limit is ${MAX_MAP_BYTES}`);
  return map;
}

/** One of these, by its name on the wire; one of a later protocol arrives as a number. */
export function readValue<T extends string>(field: string, values: Readonly<Record<T, string>>, wire: unknown): T {
  const found = (Object.keys(values) as T[]).find((value) => values[value] === wire);
  if (found === undefined) throw invalidArgument(field, `${String(wire)} is not known here`);
  return found;
}

/** In a message: a caller's text, of a length that can be read. */
function shown(text: string): string {
  return JSON.stringify(text.length > MAX_STRING_BYTES ? `${text.slice(0, MAX_STRING_BYTES)}...` : text);
}
