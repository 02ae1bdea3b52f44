import { isDeepStrictEqual } from 'node:util';
import { DriverError } from '../core/errors.ts';
import { isMadeFor, type Volume, type VolumeSpec } from '../core/volume.ts';

/** @throws DriverError already-exists when the volume was made as something else */
export function sameVolume(present: Volume, spec: VolumeSpec): Volume {
  // Copied: two maps of the same content may come from different makers.
  const asked = ({ name, capacityBytes, source, parameters }: VolumeSpec) => [
    name,
    capacityBytes,
    { ...source },
    { ...parameters },
  ];
  if (isMadeFor(present, spec.accessType) && isDeepStrictEqual(asked(present), asked(spec))) return present;
  throw new DriverError('already-exists', `volume ${present.id} exists, and was made as something else`);
}
