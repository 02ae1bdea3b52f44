import { invalidArgument } from '../../core/errors.ts';
import type { NodeName } from '../../core/ids.ts';
import { asFsType, type Content, type ContentSource, FS_TYPES, type FsType } from '../../core/volume.ts';
import type {
  Content as WireContent,
  Content__Output as WireContentOutput,
} from '../../gen/cofferdam/agent/v1/Content.ts';
import type {
  ContentSource as WireSource,
  ContentSource__Output as WireSourceOutput,
} from '../../gen/cofferdam/agent/v1/ContentSource.ts';
import type { Wire } from '../../rpc/types.ts';
import { readIdOn, required } from './fields.ts';

const IDENTITIES = { own: 'OWN', copied: 'COPIED' } as const;

export function writeContent(content: Content): Wire<WireContent> {
  switch (content.kind) {
    case 'blank':
      return { blank: {} };
    case 'formatting':
      return { formatting: { fsType: content.fsType } };
    case 'filesystem':
      return {
        filesystem: { fsType: content.fsType, identity: IDENTITIES[content.identity], growing: !!content.growing },
      };
    case 'raw':
      return { raw: { growing: !!content.growing } };
  }
}

export function readContent(field: string, wire: WireContentOutput | null): Content {
  const { blank, formatting, filesystem, raw } = required(field, wire);
  if (blank) return { kind: 'blank' };
  if (formatting) return { kind: 'formatting', fsType: readFsType(`${field}.formatting`, formatting.fsType) };
  if (filesystem) {
    const identity = filesystem.identity === IDENTITIES.own ? 'own' : 'copied';
    if (filesystem.identity !== IDENTITIES[identity]) throw invalidArgument(`${field}.filesystem.identity`, 'unknown');
    const fsType = readFsType(`${field}.filesystem`, filesystem.fsType);
    return { kind: 'filesystem', fsType, identity, ...readGrowing(filesystem) };
  }
  if (raw) return { kind: 'raw', ...readGrowing(raw) };
  throw invalidArgument(field, 'of no kind that is known here');
}

export function writeSource(source: ContentSource): Wire<WireSource> {
  return source.kind === 'snapshot' ? { snapshotId: source.id } : { volumeId: source.id };
}

export function readSource(node: NodeName, field: string, wire: WireSourceOutput): ContentSource {
  const { snapshotId, volumeId } = wire;
  if (snapshotId !== undefined) {
    return { kind: 'snapshot', id: readIdOn(node, `${field}.snapshot_id`, 'snapshot', snapshotId) };
  }
  if (volumeId !== undefined) return { kind: 'volume', id: readIdOn(node, `${field}.volume_id`, 'volume', volumeId) };
  throw invalidArgument(field, 'of no kind that is known here');
}

function readGrowing({ growing }: { readonly growing: boolean }): { readonly growing?: true } {
  return growing ? { growing } : {};
}

function readFsType(field: string, name: string): FsType {
  const found = asFsType(name);
  if (!found) throw invalidArgument(`${field}.fs_type`, `must be one of ${FS_TYPES.join(', ')}`);
  return found;
}
