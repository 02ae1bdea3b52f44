import { DriverError } from '../core/errors.ts';
import type { NodeName } from '../core/ids.ts';
import type { NodeDirectory } from '../core/node-agent.ts';
import type { Placement } from './requests.ts';

/** Something that a new volume is made from, and that can't leave its node. */
export interface Pin {
  readonly node: NodeName;
  /** For the message: `snapshot "snap-..."`. */
  readonly what: string;
}

/**
 * The nodes where a new volume may be made, best first: the preferred in their order, then the rest of the requisite
 * (CSI specification, TopologyRequirement). Without a requirement any node will do.
 * @throws DriverError resource-exhausted when there is none (CSI specification, "CreateVolume Errors": unable to
 *   provision in accessible_topology)
 */
export function candidates(
  placement: Placement,
  directory: Pick<NodeDirectory, 'has' | 'nodes'>,
  pin: Pin | undefined,
): readonly [NodeName, ...NodeName[]] {
  const { requisite, preferred } = placement;
  if (pin) {
    if (isAllowedOn(placement, pin.node)) return [pin.node];
    throw exhausted(
      `${pin.what} is on node ${pin.node}, and a copy of it can only be made there; allowed: ${list(requisite)}`,
    );
  }
  const allowed = new Set(allowedOf(placement, directory));
  const [first, ...others] = new Set([...preferred.filter((node) => allowed.has(node)), ...allowed]);
  if (first === undefined) {
    throw exhausted(`no pool is known on ${list(requisite)}; nodes with a pool: ${list(directory.nodes())}`);
  }
  return [first, ...others];
}

/** The nodes there are that answer the requirement, each once. */
export function allowedOf(
  { requisite }: Placement,
  directory: Pick<NodeDirectory, 'has' | 'nodes'>,
): readonly NodeName[] {
  if (requisite.length === 0) return directory.nodes();
  return [...new Set(requisite)].filter((node) => directory.has(node));
}

/** True when a thing on this node answers the requirement. */
export function isAllowedOn({ requisite }: Placement, node: NodeName): boolean {
  return requisite.length === 0 || requisite.includes(node);
}

function exhausted(reason: string): DriverError {
  return new DriverError('resource-exhausted', `accessibility_requirements: ${reason}`);
}

const SHOWN = 8;

function list(nodes: readonly NodeName[]): string {
  if (nodes.length === 0) return 'none';
  return nodes.length > SHOWN
    ? `${nodes.slice(0, SHOWN).join(', ')} and ${nodes.length - SHOWN} more`
    : nodes.join(', ');
}
