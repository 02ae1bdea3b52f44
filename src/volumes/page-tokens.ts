import { DriverError } from '../core/errors.ts';
import { type ParsedId, parseId } from '../core/ids.ts';

/** What there are lists of. */
export type ListedKind = Exclude<ParsedId['kind'], 'group'>;

/** Version and kind of list. */
const MARKS = { volume: 'v1v.', snapshot: 'v1s.' } as const satisfies Record<ListedKind, string>;
const PREFIXES = { volume: 'vol-', snapshot: 'snap-' } as const satisfies Record<ListedKind, string>;

/**
 * A page token is the id after which the next page starts, so it holds while things come and go, its own included.
 * Callers take it as opaque; it is checked when it comes back. Not base64: an id may be as long as the 128 bytes that
 * the CSI specification ("Size Limits") allows a token as well, so the token must not be longer than the id.
 */
export function encodeToken(kind: ListedKind, id: string): string {
  return `${MARKS[kind]}${id.slice(PREFIXES[kind].length)}`;
}

/**
 * @returns the id
 * @throws DriverError aborted for what is no token of this kind of list (CSI specification, "ListVolumes Errors"): the
 *   caller then starts again from the first page
 */
export function decodeToken(kind: ListedKind, token: string): string {
  const id = `${PREFIXES[kind]}${token.slice(MARKS[kind].length)}`;
  if (!token.startsWith(MARKS[kind]) || parseId(id)?.kind !== kind) {
    throw new DriverError('aborted', 'starting_token: not a token of this list; start again without one');
  }
  return id;
}
