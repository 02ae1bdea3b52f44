/**
 * The verdict over one group snapshot of one ordered writer. Pure: readings in, violations out.
 *
 * The writer writes number k to the volumes in an order, then k + 1, and changes the order only between two numbers.
 * A cut at one instant therefore finds, along the order in force for the highest number M, first some volumes at M and
 * then the others at M - 1. Nothing else is possible, so everything else is a violation.
 */
import type { Order } from './orders.ts';
import type { Reading } from './record.ts';

export const VIOLATION_KINDS = [
  /** A number that was acknowledged before the call is not there. */
  'lost',
  /** A volume has a number that its predecessor in the writer's order has not. */
  'ahead',
  /** The first volume of the order is more than one number ahead of the last. */
  'spread',
  /** A number is there that was not yet begun when the call had returned. */
  'future',
  /** A number below the highest is missing on the same volume. */
  'hole',
  /** A block is neither empty nor a whole record. */
  'damaged',
  /** The volume, or the writer's file on it, can't be read at all. */
  'unreadable',
  /** The read-only check of the restored filesystem found errors. */
  'unclean',
] as const;
export type ViolationKind = (typeof VIOLATION_KINDS)[number];

export interface Violation {
  readonly kind: ViolationKind;
  /** Index of the volume it was seen on. */
  readonly volume: number;
  /** What is said of that volume: `has 5, but ...`. */
  readonly detail: string;
}

/** What is known of the writer around a call. */
export interface WriterFacts {
  /** By generation: the order in force. */
  readonly orders: ReadonlyMap<number, Order>;
  /** By volume: the highest number acknowledged before the call was made. */
  readonly acknowledged: readonly number[];
  /** The highest number that had been begun when the call had returned. */
  readonly begun: number;
}

/** By volume; a text says why there is no reading. Undefined: it was not looked at, so nothing is known. */
export type Readings = readonly (Reading | string | undefined)[];

export function judge(readings: Readings, { orders, acknowledged, begun }: WriterFacts): Violation[] {
  const violations: Violation[] = [];
  const found = (volume: number, kind: ViolationKind, detail: string) => violations.push({ kind, volume, detail });

  const read = new Map<number, Reading>();
  for (const [volume, reading] of readings.entries()) {
    if (reading === undefined) continue;
    if (typeof reading === 'string') {
      found(volume, 'unreadable', reading);
      continue;
    }
    read.set(volume, reading);
    const { number, missing, damaged } = reading;
    const least = acknowledged[volume] ?? 0;
    if (number < least) found(volume, 'lost', `has ${number}, but ${least} was acknowledged before the call`);
    if (number > begun) found(volume, 'future', `has ${number}, but only ${begun} was begun when the call returned`);
    if (missing.length > 0) found(volume, 'hole', `has ${number}, but not ${listed(missing)}`);
    if (damaged > 0) found(volume, 'damaged', `has ${damaged} damaged blocks`);
  }
  for (const violation of judgeOrder(read, orders)) violations.push(violation);
  return violations;
}

function judgeOrder(read: ReadonlyMap<number, Reading>, orders: ReadonlyMap<number, Order>): Violation[] {
  const violations: Violation[] = [];
  const newest = [...read.entries()].reduce<readonly [number, Reading] | undefined>(
    (best, entry) => (best && best[1].number >= entry[1].number ? best : entry),
    undefined,
  );
  // Nothing was written yet: nothing is out of order.
  if (!newest || newest[1].number === 0) return violations;
  const order = orders.get(newest[1].generation);
  if (!order) {
    return [{ kind: 'damaged', volume: newest[0], detail: `no order has the generation ${newest[1].generation}` }];
  }
  // A volume that could not be read has been reported; its neighbours are compared with each other.
  const line = order.flatMap((volume) => {
    const number = read.get(volume)?.number;
    return number === undefined ? [] : [{ volume, number }];
  });
  for (const [i, { volume, number }] of line.entries()) {
    const before = line[i - 1];
    if (before && number > before.number) {
      const detail = `has ${number}, but volume ${before.volume + 1}, written before it, has ${before.number}`;
      violations.push({ kind: 'ahead', volume, detail });
    }
  }
  const first = line[0];
  const last = line.at(-1);
  if (first && last && first.number > last.number + 1) {
    const detail = `has ${first.number}, but volume ${last.volume + 1}, the last one written, has ${last.number}`;
    violations.push({ kind: 'spread', volume: first.volume, detail });
  }
  return violations;
}

function listed(numbers: readonly number[]): string {
  const shown = numbers.slice(0, 3).join(', ');
  return numbers.length > 3 ? `${shown} and ${numbers.length - 3} more` : shown;
}
