import { expect, test } from '@jest/globals';
import {
  BLOCK_BYTES,
  fillRecord,
  type Place,
  REGION_BYTES,
  readRegion,
  SLOTS,
  slotOffset,
} from '../../../src/prove/record.ts';

const PLACE: Place = { run: 0xfedc_ba98, stream: 'durable', volume: 3 };

function regionUpTo(last: number, { place = PLACE, without = [] as readonly number[] } = {}): Buffer {
  const region = Buffer.alloc(REGION_BYTES);
  for (let number = 1; number <= last; number++) if (!without.includes(number)) put(region, number, place);
  return region;
}

function put(region: Buffer, number: number, place: Place): void {
  const block = new Uint32Array(BLOCK_BYTES / 4);
  fillRecord(block, place, number, 1);
  Buffer.from(block.buffer).copy(region, slotOffset(number));
}

test('every slot is used once in SLOTS numbers, and neighbours in time are not neighbours in place', () => {
  const offsets = Array.from({ length: SLOTS }, (_, i) => slotOffset(i + 1));
  expect(new Set(offsets).size).toBe(SLOTS);
  for (const [i, offset] of offsets.entries()) {
    expect(Math.abs(offset - (offsets[i + 1] ?? offset + 2 * BLOCK_BYTES))).toBeGreaterThan(BLOCK_BYTES);
  }
});

test.each([0, 1, 2, SLOTS - 1, SLOTS, SLOTS + 1, 3 * SLOTS + 7])('a region written up to %d reads so', (last) => {
  expect(readRegion(regionUpTo(last), PLACE)).toEqual({
    number: last,
    generation: last === 0 ? 0 : 1,
    missing: [],
    damaged: 0,
  });
});

test('a number above 32 bits survives', () => {
  const region = Buffer.alloc(REGION_BYTES);
  const number = 2 ** 40 + 5;
  put(region, number, PLACE);
  expect(readRegion(region, PLACE).number).toBe(number);
});

test('a number that was skipped, or is still the one of a round ago, is missing', () => {
  expect(readRegion(regionUpTo(100, { without: [40] }), PLACE).missing).toEqual([40]);
  expect(readRegion(regionUpTo(SLOTS + 100, { without: [SLOTS + 50] }), PLACE).missing).toEqual([SLOTS + 50]);
});

test('a flipped bit anywhere in a block is damage, and so is half a block', () => {
  for (const at of [0, 5, 30, 2000, BLOCK_BYTES - 1]) {
    const region = regionUpTo(10);
    const byte = slotOffset(10) + at;
    region[byte] = (region[byte] ?? 0) ^ 1;
    expect(readRegion(region, PLACE)).toMatchObject({ number: 9, damaged: 1 });
  }
  const torn = regionUpTo(10);
  torn.fill(0, slotOffset(10) + BLOCK_BYTES / 2, slotOffset(10) + BLOCK_BYTES);
  expect(readRegion(torn, PLACE)).toMatchObject({ number: 9, damaged: 1 });
});

test('records of another run, stream or volume, or in the wrong slot, are not taken for ours', () => {
  for (const other of [{ run: 1 }, { stream: 'buffered' as const }, { volume: 2 }]) {
    expect(readRegion(regionUpTo(5, { place: { ...PLACE, ...other } }), PLACE)).toMatchObject({
      number: 0,
      damaged: 5,
    });
  }
  const region = regionUpTo(5);
  region.copy(region, slotOffset(6), slotOffset(5), slotOffset(5) + BLOCK_BYTES);
  expect(readRegion(region, PLACE)).toMatchObject({ number: 5, damaged: 1 });
});
