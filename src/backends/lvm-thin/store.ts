/** The index of an LVM pool: the tags of its logical volumes, read. */
import type { RoundToken } from '../../core/round.ts';
import type { CutRecord } from '../../core/snapshot.ts';
import type { LogicalVolume } from '../../host/lvm/lvm.ts';
import { PoolIndex } from '../pool-index.ts';
import { decodeCut, decodeVolume } from '../records.ts';
import { cutOf, PENDING_TAG, recordIn, SEALED_TAG, SNAPSHOT_NAME, VOLUME_NAME } from './layout.ts';

export class Store extends PoolIndex {
  /** @throws DriverError data-loss when a committed record can't be read */
  static read(listed: readonly LogicalVolume[]): Store {
    const store = new Store();
    for (const { name, tags } of listed) {
      if (!VOLUME_NAME.test(name) || tags.includes(PENDING_TAG)) continue;
      store.putVolume(decodeVolume(recordIn(tags) ?? '', name, name));
    }
    for (const { record, sealed } of cutsIn(listed)) {
      if (!record) continue;
      if (sealed) store.putSealed(record);
      else store.putCut(record);
    }
    return store;
  }
}

export interface FoundCut {
  readonly token: RoundToken;
  /** All its logical volumes, the leader too. */
  readonly members: readonly LogicalVolume[];
  /** Undefined until it is sealed, and again when its deletion has begun. */
  readonly record: CutRecord | undefined;
  /** Sealed, and not committed. */
  readonly sealed: boolean;
}

/** Every cut that there is anything of. @throws DriverError data-loss when a record can't be read */
export function cutsIn(listed: readonly LogicalVolume[]): readonly FoundCut[] {
  const members = listed.filter(({ name }) => SNAPSHOT_NAME.test(name));
  const byToken = Map.groupBy(members, (volume) => cutOf(volume) ?? '');
  return [...byToken].map(([token, own]) => {
    const leader = own.find(({ tags }) => !tags.includes(PENDING_TAG) && recordIn(tags) !== undefined);
    const record = leader && decodeCut(recordIn(leader.tags) ?? '', leader.name, token);
    return { token, members: own, record, sealed: leader?.tags.includes(SEALED_TAG) ?? false };
  });
}
