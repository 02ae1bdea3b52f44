/**
 * What the ordered writers leave on a volume.
 *
 * A region of SLOTS blocks; number k is written to slot (k * STRIDE) mod SLOTS. So neighbours in time lie apart, which
 * gives images many extents, and a reader finds not only the last number but also whether any of the last SLOTS is
 * missing. A block is the magic, the run, the stream, the volume, k, the generation of the order in force, a checksum,
 * and filler that depends on k so that half a block is seen.
 */
import { crc32 } from 'node:zlib';

export const BLOCK_BYTES = 4096;
export const SLOTS = 512;
export const REGION_BYTES = SLOTS * BLOCK_BYTES;

/** Odd, so that every slot is used; about the golden section of SLOTS, so that neighbours are far from each other. */
const STRIDE = 317;
const MAGIC = 0x4346_4450;
const HEADER_WORDS = 8;
const CHECKSUM_WORD = 7;
const NOTHING = Buffer.alloc(BLOCK_BYTES);

export const STREAMS = ['durable', 'buffered'] as const;
export type Stream = (typeof STREAMS)[number];

/** Where a block belongs; what was left by another run, stream or volume is not ours. */
export interface Place {
  /** 32 bits that name this run. */
  readonly run: number;
  readonly stream: Stream;
  readonly volume: number;
}

/** What a region was found to hold. Numbers count from 1; a writer at full speed needs centuries to reach 2^53. */
export interface Reading {
  /** The highest number; 0 when there is none. */
  readonly number: number;
  /** The generation of the writer's order when `number` was written. */
  readonly generation: number;
  /** Of the last SLOTS numbers up to `number`: those that are not there. */
  readonly missing: readonly number[];
  /** Blocks that hold neither nothing nor a whole record of this place. */
  readonly damaged: number;
}

export function slotOffset(number: number): number {
  return ((number * STRIDE) % SLOTS) * BLOCK_BYTES;
}

/** @param block BLOCK_BYTES long, as 32-bit words */
export function fillRecord(block: Uint32Array, place: Place, number: number, generation: number): void {
  block.fill((number ^ place.volume) >>> 0, HEADER_WORDS);
  block[0] = MAGIC;
  block[1] = place.run;
  block[2] = STREAMS.indexOf(place.stream);
  block[3] = place.volume;
  block[4] = number >>> 0;
  block[5] = Math.floor(number / 2 ** 32);
  block[6] = generation;
  block[CHECKSUM_WORD] = 0;
  block[CHECKSUM_WORD] = crc32(block);
}

/** @returns undefined for anything that is not a whole record of this place */
function parseRecord(block: Uint32Array, place: Place): { number: number; generation: number } | undefined {
  const word = (index: number): number => block[index] ?? 0;
  const checksum = word(CHECKSUM_WORD);
  block[CHECKSUM_WORD] = 0;
  const whole = word(0) === MAGIC && crc32(block) === checksum;
  const ours = word(1) === place.run && word(2) === STREAMS.indexOf(place.stream) && word(3) === place.volume;
  return whole && ours ? { number: word(5) * 2 ** 32 + word(4), generation: word(6) } : undefined;
}

/** @param region all of it, REGION_BYTES */
export function readRegion(region: Buffer, place: Place): Reading {
  const bySlot = new Map<number, number>();
  let last = { number: 0, generation: 0 };
  let damaged = 0;
  for (let offset = 0; offset + BLOCK_BYTES <= region.length; offset += BLOCK_BYTES) {
    const bytes = region.subarray(offset, offset + BLOCK_BYTES);
    if (bytes.equals(NOTHING)) continue;
    // Copied: a view of words needs an alignment that a slice of a Buffer may not have.
    const record = parseRecord(new Uint32Array(Uint8Array.from(bytes).buffer), place);
    if (!record || slotOffset(record.number) !== offset) {
      damaged++;
      continue;
    }
    bySlot.set(offset, record.number);
    if (record.number > last.number) last = record;
  }
  const missing: number[] = [];
  for (let number = Math.max(1, last.number - SLOTS + 1); number <= last.number; number++) {
    if (bySlot.get(slotOffset(number)) !== number) missing.push(number);
  }
  return { ...last, missing, damaged };
}
