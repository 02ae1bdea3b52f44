import type { Random } from './random.ts';

/** In which order volumes are written, or named in the call: their indexes, each once. */
export type Order = readonly number[];

const ORDER_KINDS = ['forward', 'reversed', 'shuffled'] as const;
export type OrderKind = (typeof ORDER_KINDS)[number];

export interface RoundOrders {
  readonly writer: { readonly kind: OrderKind; readonly order: Order };
  readonly members: { readonly kind: OrderKind; readonly order: Order };
}

/**
 * The orders of a round, counted from 0. All nine pairs come before one comes again, the telling ones first: a driver
 * that takes its members one after the other in the very order they are written in looks perfect, so a fixed order
 * would hide a fence that is not there.
 */
export function ordersOf(round: number, volumes: number, random: Random): RoundOrders {
  const kinds = ORDER_KINDS.length;
  const writer = round % kinds;
  const members = (writer + 1 + Math.floor(round / kinds)) % kinds;
  return { writer: orderOf(writer, volumes, random), members: orderOf(members, volumes, random) };
}

function orderOf(index: number, volumes: number, random: Random): RoundOrders['writer'] {
  const kind = ORDER_KINDS[index] ?? 'forward';
  const forward = Array.from({ length: volumes }, (_, volume) => volume);
  switch (kind) {
    case 'forward':
      return { kind, order: forward };
    case 'reversed':
      return { kind, order: forward.reverse() };
    case 'shuffled':
      return { kind, order: random.shuffled(forward) };
  }
}
