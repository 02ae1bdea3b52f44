import type { ContentSource, Volume } from '../../core/volume.ts';
import type { Volume as VolumeMessage } from '../../gen/csi/v1/Volume.ts';
import type { VolumeContentSource } from '../../gen/csi/v1/VolumeContentSource.ts';
import type { Wire } from '../../rpc/types.ts';
import { renderTopology } from './topology.ts';

/** The volume context stays empty: what a node needs to know of a volume it looks up in its pool. */
export function renderVolume(volume: Volume): Wire<VolumeMessage> {
  return {
    volumeId: volume.id,
    capacityBytes: String(volume.capacityBytes),
    contentSource: volume.source ? renderSource(volume.source) : null,
    accessibleTopology: [renderTopology(volume.node)],
  };
}

function renderSource(source: ContentSource): Wire<VolumeContentSource> {
  return source.kind === 'snapshot' ? { snapshot: { snapshotId: source.id } } : { volume: { volumeId: source.id } };
}
