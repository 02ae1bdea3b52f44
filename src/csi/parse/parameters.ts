import { invalidArgument } from '../../core/errors.ts';
import { METADATA_PREFIX } from '../../volumes/parameters.ts';
import { boundedMap } from './fields.ts';

type Parameters = Readonly<Record<string, string>>;

/**
 * Parameters of a class. What we don't know is an error: a misspelt one must not be ignored.
 * @param known besides the names of Kubernetes objects that the sidecars add
 * @throws DriverError invalid-argument that names the key and what is allowed
 */
export function parseParameters(field: string, wire: Parameters, known: readonly string[] = []): Parameters {
  boundedMap(field, wire);
  for (const key of Object.keys(wire)) {
    if (key.startsWith(METADATA_PREFIX) || known.includes(key)) continue;
    const allowed = [...known, `${METADATA_PREFIX}*`].join(', ');
    throw invalidArgument(field, `${JSON.stringify(key.slice(0, 128))} is not known; allowed: ${allowed}`);
  }
  return wire;
}

/** MODIFY_VOLUME is not offered, so the caller must not send any (CSI specification, CreateVolumeRequest). */
export function refuseMutableParameters(field: string, wire: Parameters): void {
  const [key] = Object.keys(wire);
  if (key === undefined) return;
  throw invalidArgument(field, `${JSON.stringify(key.slice(0, 128))}: volumes here have nothing that can be modified`);
}
