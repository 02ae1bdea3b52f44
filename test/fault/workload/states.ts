/** What a volume, a snapshot and a group may be, and what each answer says about that. */
import type { Operation } from '../../support/history.ts';

export interface Volume {
  /** Null: made by a call whose answer was lost, so not known yet. */
  readonly bytes: number | null;
  /** What it was copied from; empty for a blank one. */
  readonly source: string;
  /** `half`: a stage or unstage died on its way. */
  readonly staged: 'no' | 'half' | 'yes';
  readonly targets: readonly string[];
}

export interface Snapshot {
  /** Of a group: its members. */
  readonly source: string;
  /** Null: not known yet. */
  readonly time: string | null;
}

/** Null: there is none. */
export type VolumeState = Volume | null;
export type SnapshotState = Snapshot | null;

type Effect<S> = Operation<S>['effect'];
type OnVolume = Effect<VolumeState>;
type OnSnapshot = Effect<SnapshotState>;

export const absent = <S>(state: S | null): readonly null[] => (state === null ? [null] : []);

const fresh = (bytes: number | null, source: string): Volume => ({ bytes, source, staged: 'no', targets: [] });
const has = (bytes: number) => (volume: Volume) =>
  volume.bytes === null || volume.bytes === bytes ? [{ ...volume, bytes }] : [];
const present =
  (effect: (volume: Volume) => readonly Volume[]): OnVolume =>
  (state) =>
    state === null ? [] : effect(state);

/** @param required of a copy there is none: it is as large as its source */
export function created(source: string, bytes: number, required?: number): OnVolume {
  return (state) => {
    if (state === null) return required === undefined || required === bytes ? [fresh(bytes, source)] : [];
    return state.source === source && bytes >= (required ?? 0) ? has(bytes)(state) : [];
  };
}

export function createdUnseen(source: string, required?: number): OnVolume {
  return (state) => [state ?? fresh(required ?? null, source)];
}

export function differs(source: string, required = 0): OnVolume {
  return present((volume) =>
    volume.source !== source || volume.bytes === null || volume.bytes < required ? [volume] : [],
  );
}

export const isSeen = (bytes: number): OnVolume => present(has(bytes));
export const isThere: OnVolume = present((volume) => [volume]);
export const isInUse: OnVolume = present((volume) => (volume.staged === 'no' ? [] : [volume]));
export const deleted: OnVolume = (state) => (state === null || state.staged === 'no' ? [null] : []);

export function expanded(wanted: number, bytes: number): OnVolume {
  return present((volume) => {
    if (volume.bytes === null) return bytes >= wanted ? [{ ...volume, bytes }] : [];
    return bytes === Math.max(volume.bytes, wanted) ? [{ ...volume, bytes }] : [];
  });
}

export function expandedUnseen(wanted: number): OnVolume {
  return (state) => {
    if (state === null) return [null];
    return [{ ...state, bytes: state.bytes === null ? null : Math.max(state.bytes, wanted) }];
  };
}

export const staged: OnVolume = present((volume) => [{ ...volume, staged: 'yes' }]);
export const stagedUnseen: OnVolume = (state) => {
  if (state === null || state.staged === 'yes') return [state];
  return [
    { ...state, staged: 'half' },
    { ...state, staged: 'yes' },
  ];
};

export const unstaged: OnVolume = (state) => {
  if (state === null) return [null];
  return state.targets.length === 0 ? [{ ...state, staged: 'no' }] : [];
};
export const unstagedUnseen: OnVolume = (state) => {
  if (state === null || state.targets.length > 0 || state.staged === 'no') return [state];
  return [
    { ...state, staged: 'half' },
    { ...state, staged: 'no' },
  ];
};
export const isPublished: OnVolume = present((volume) => (volume.targets.length > 0 ? [volume] : []));

/** ReadWriteOncePod: at one target only. */
export function published(target: string): OnVolume {
  return present((volume) => (mayPublish(volume, target) ? [{ ...volume, targets: [target] }] : []));
}

export function publishedUnseen(target: string): OnVolume {
  return (state) => (state && mayPublish(state, target) ? [{ ...state, targets: [target] }] : [state]);
}

export function mustNotPublish(target: string): OnVolume {
  return present((volume) => (mayPublish(volume, target) ? [] : [volume]));
}

export function unpublished(target: string): OnVolume {
  return (state) => [state && { ...state, targets: state.targets.filter((each) => each !== target) }];
}

function mayPublish({ staged: how, targets }: Volume, target: string): boolean {
  return how === 'yes' && targets.every((each) => each === target);
}

export function taken(source: string, time: string): OnSnapshot {
  return (state) => (state === null ? [{ source, time }] : isSame(state, source, time));
}

export function takenUnseen(source: string): OnSnapshot {
  return (state) => [state ?? { source, time: null }];
}

export function seenSnapshot(source: string, time: string): OnSnapshot {
  return (state) => (state === null ? [] : isSame(state, source, time));
}

export function otherSource(source: string): OnSnapshot {
  return (state) => (state !== null && state.source !== source ? [state] : []);
}

export const removed: OnSnapshot = () => [null];

function isSame(state: Snapshot, source: string, time: string): readonly Snapshot[] {
  return state.source === source && (state.time === null || state.time === time) ? [{ source, time }] : [];
}
