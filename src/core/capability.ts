import type { FsType } from './volume.ts';

/** The access modes a node-local volume can give; the protocol's other modes need several nodes and are refused. */
export type AccessMode =
  | 'SINGLE_NODE_WRITER'
  | 'SINGLE_NODE_READER_ONLY'
  /** ReadWriteOncePod: one target path at a time. */
  | 'SINGLE_NODE_SINGLE_WRITER'
  | 'SINGLE_NODE_MULTI_WRITER';

export type Access =
  | {
      readonly kind: 'mount';
      /** Absent: the volume's own, else the default. */
      readonly fsType?: FsType;
      readonly mountFlags: readonly string[];
      /** Numeric group id that shall own the files (CSI VOLUME_MOUNT_GROUP). */
      readonly mountGroup?: number;
    }
  | { readonly kind: 'block' };

export interface Capability {
  readonly access: Access;
  readonly mode: AccessMode;
}
