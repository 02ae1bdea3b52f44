import type { NodeName } from '../../core/ids.ts';
import { TOPOLOGY_KEY } from '../../core/names.ts';

/** A node as the CSI names it. */
export function renderTopology(node: NodeName): { readonly segments: Record<string, string> } {
  return { segments: { [TOPOLOGY_KEY]: node } };
}
