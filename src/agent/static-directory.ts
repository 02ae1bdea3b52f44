/** A directory of nodes that somebody wrote down. */
import { DriverError } from '../core/errors.ts';
import type { NodeDirectory } from '../core/node-agent.ts';
import type { Logger } from '../core/observe.ts';
import type { LinkParts } from './remote-agents.ts';

export type NodeListSource =
  /** `name=host:port,name=host:port` */
  | { readonly kind: 'list'; readonly text: string; readonly field: string }
  /** One `name=host:port` per line, `#` begins a comment; read again when it changes. */
  | { readonly kind: 'file'; readonly path: string };

/** @throws DriverError invalid-argument (list), failed-precondition (file) that names what is wrong */
export async function openStaticDirectory(
  _source: NodeListSource,
  _link: LinkParts,
  _logger: Logger,
): Promise<NodeDirectory & Disposable> {
  throw new DriverError('unimplemented', 'the link is not made yet');
}
