import type { NodeDefinition } from '../../gen/csi/v1/Node.ts';
import type { Handler } from '../../rpc/types.ts';
import { nodeRpcs } from '../capabilities.ts';
import type { CsiOptions } from '../options.ts';

export function nodeGetCapabilities(options: CsiOptions): Handler<NodeDefinition, 'NodeGetCapabilities'> {
  const capabilities = nodeRpcs(options).map((type) => ({ rpc: { type } }));
  return async () => ({ capabilities });
}
