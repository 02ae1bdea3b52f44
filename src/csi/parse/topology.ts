import { invalidArgument } from '../../core/errors.ts';
import type { NodeName } from '../../core/ids.ts';
import { TOPOLOGY_KEY } from '../../core/names.ts';
import type { Topology__Output } from '../../gen/csi/v1/Topology.ts';
import type { TopologyRequirement__Output } from '../../gen/csi/v1/TopologyRequirement.ts';
import type { Placement } from '../../volumes/requests.ts';

const ANYWHERE: Placement = { requisite: [], preferred: [] };

/** @throws DriverError invalid-argument for a topology that is not in our words */
export function parsePlacement(field: string, wire: TopologyRequirement__Output | null): Placement {
  if (!wire) return ANYWHERE;
  return {
    requisite: wire.requisite.map((each, i) => requiredNode(`${field}.requisite[${i}]`, each)),
    preferred: wire.preferred.map((each, i) => requiredNode(`${field}.preferred[${i}]`, each)),
  };
}

/** The node that a topology names; undefined when it names nothing. */
export function parseTopology(field: string, wire: Topology__Output | null): NodeName | undefined {
  const segments = Object.entries(wire?.segments ?? {});
  // Keys are case-insensitive (CSI specification, Topology).
  const foreign = segments.find(([key]) => key.toLowerCase() !== TOPOLOGY_KEY);
  if (foreign) {
    const shown = JSON.stringify(foreign[0].slice(0, 128));
    throw invalidArgument(`${field}.segments`, `${shown} is not known; the only key is ${TOPOLOGY_KEY}`);
  }
  if (segments.length > 1) throw invalidArgument(`${field}.segments`, `${TOPOLOGY_KEY} is there twice`);
  return segments[0]?.[1];
}

function requiredNode(field: string, wire: Topology__Output): NodeName {
  const node = parseTopology(field, wire);
  if (!node) throw invalidArgument(`${field}.segments`, `${TOPOLOGY_KEY} is required`);
  return node;
}
