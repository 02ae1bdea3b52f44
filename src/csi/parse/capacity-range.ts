import type { Bytes } from '../../core/bytes.ts';
import { DriverError, invalidArgument } from '../../core/errors.ts';
import type { CapacityRange__Output } from '../../gen/csi/v1/CapacityRange.ts';
import type { CapacityRange } from '../../volumes/requests.ts';

/**
 * An absent range, and a range of two zeroes, ask for nothing.
 * @throws DriverError invalid-argument (negative), out-of-range (empty)
 */
export function parseCapacityRange(field: string, wire: CapacityRange__Output | null): CapacityRange {
  if (!wire) return {};
  const requiredBytes = parseSize(`${field}.required_bytes`, wire.requiredBytes);
  const limitBytes = parseSize(`${field}.limit_bytes`, wire.limitBytes);
  if (requiredBytes !== undefined && limitBytes !== undefined && requiredBytes > limitBytes) {
    throw new DriverError(
      'out-of-range',
      `${field}: required_bytes ${requiredBytes} is more than limit_bytes ${limitBytes}`,
    );
  }
  return { ...(requiredBytes !== undefined && { requiredBytes }), ...(limitBytes !== undefined && { limitBytes }) };
}

/** For where a range must ask for something. */
export function requiredCapacityRange(field: string, wire: CapacityRange__Output | null): CapacityRange {
  const range = parseCapacityRange(field, wire);
  if (range.requiredBytes === undefined && range.limitBytes === undefined) {
    throw invalidArgument(field, 'required, with required_bytes or limit_bytes');
  }
  return range;
}

/** 64-bit numbers arrive as decimal strings (`rpc/proto.ts`). Zero is the same as absent. */
function parseSize(field: string, wire: string): Bytes | undefined {
  const bytes = BigInt(wire);
  if (bytes < 0n) throw invalidArgument(field, `${bytes} is negative`);
  return bytes === 0n ? undefined : bytes;
}
