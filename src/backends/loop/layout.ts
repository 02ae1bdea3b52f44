/** Where things lie in a loop pool (ARCHITECTURE.md, "A pool on disk"). Only ids that were parsed become file names. */
import path from 'node:path';
import { DriverError } from '../../core/errors.ts';
import { localOf, type SnapshotId, type VolumeId } from '../../core/ids.ts';
import { isRoundToken, type RoundToken } from '../../core/round.ts';

export const VOLUME_FILE = /^(vol-[a-z2-7]{26})\.(img|json)$/;
export const SEALED = 'sealed.json';
export const COMMITTED = 'committed.json';

export class Layout {
  readonly pool: string;
  readonly volumes: string;
  readonly cuts: string;
  readonly trash: string;

  constructor(pool: string) {
    this.pool = pool;
    this.volumes = path.join(pool, 'volumes');
    this.cuts = path.join(pool, 'cuts');
    this.trash = path.join(pool, 'trash');
  }

  volumeImage(id: VolumeId): string {
    return path.join(this.volumes, `${localOf(id)}.img`);
  }

  volumeRecord(id: VolumeId): string {
    return path.join(this.volumes, `${localOf(id)}.json`);
  }

  cut(token: RoundToken): string {
    if (!isRoundToken(token)) throw new DriverError('internal', `${JSON.stringify(token)} is not a round token`);
    return path.join(this.cuts, token);
  }

  snapshotImage(token: RoundToken, id: SnapshotId): string {
    return path.join(this.cut(token), `${localOf(id)}.img`);
  }
}
