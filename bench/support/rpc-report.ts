import type { Memory } from './driver-process.ts';
import type { Aim, Section } from './part.ts';
import { mebibytes, ms, times } from './stats.ts';

const OURS = 'cofferdam';
const PEER = 'host-path';
const NOT_MEASURED = 'not measured';
const NO_PEER = 'host-path is not measured: give its binary with --hostpath.';

export interface RateRow {
  readonly title: string;
  readonly snapshots: number;
  readonly clients: number;
  readonly name: string;
  readonly perSecond: number;
}

export interface MemoryRow extends Memory {
  readonly name: string;
  readonly when: string;
}

export interface StartRow {
  readonly name: string;
  readonly snapshots: number;
  readonly startMs: number;
  readonly memory: Memory;
}

export function rateSection(rates: readonly RateRow[], many: number): Section {
  const pairs = rates
    .filter(({ name }) => name === OURS)
    .map((ours) => ({
      ours,
      peer: rates.find(
        ({ name, title, snapshots, clients }) =>
          name === PEER && title === ours.title && snapshots === ours.snapshots && clients === ours.clients,
      ),
    }));
  const worst = (snapshots: number, aim: number): Aim | undefined => {
    const compared = pairs.flatMap(({ ours, peer }) =>
      peer && ours.snapshots === snapshots ? [{ ours, ratio: ours.perSecond / peer.perSecond }] : [],
    );
    const least = compared.toSorted((a, b) => a.ratio - b.ratio)[0];
    if (!least) return undefined;
    const { title, clients } = least.ours;
    return {
      what: `calls per second with ${snapshots} snapshots, the worst of all (${title}, ${clients} clients)`,
      aim: `${aim}x host-path`,
      measured: times(least.ratio, 1),
      reached: least.ratio >= aim,
    };
  };
  return {
    title: 'Calls per second (medians)',
    columns: [
      { title: 'CALL' },
      ...['SNAPSHOTS', 'CLIENTS', 'COFFERDAM', 'HOST-PATH', 'RATIO'].map((title) => ({
        title,
        align: 'right' as const,
      })),
    ],
    rows: pairs.map(({ ours, peer }) => [
      ours.title,
      String(ours.snapshots),
      String(ours.clients),
      Math.round(ours.perSecond).toString(),
      peer ? Math.round(peer.perSecond).toString() : NOT_MEASURED,
      peer ? times(ours.perSecond, peer.perSecond) : '',
    ]),
    aims: [worst(10, 1), worst(many, 5)].filter((aim) => aim !== undefined),
    notes: [
      'Ours is on disk when it answers. host-path writes a JSON file of everything without fsync, and a tar.gz for each snapshot.',
      ...(pairs.some(({ peer }) => peer) ? [] : [NO_PEER]),
    ],
    data: rates,
  };
}

export function memorySection(memory: readonly MemoryRow[]): Section {
  const ours = memory.filter(({ name }) => name === OURS);
  const peerOf = (when: string) => memory.find((row) => row.name === PEER && row.when === when);
  const [idle] = ours;
  const idlePeer = idle && peerOf(idle.when);
  return {
    title: 'Resident memory (MiB), serve and its guard together',
    columns: [
      { title: 'WHEN' },
      ...['RSS', 'ALONE', 'HOST-PATH', 'RATIO'].map((title) => ({ title, align: 'right' as const })),
    ],
    rows: ours.map(({ when, rss, alone }) => {
      const peer = peerOf(when);
      const theirs = peer ? [mebibytes(peer.alone), times(alone, peer.alone)] : [NOT_MEASURED];
      return [when, mebibytes(rss), mebibytes(alone), ...theirs];
    }),
    aims:
      idle && idlePeer
        ? [
            {
              what: 'memory at idle',
              aim: '2x host-path at most',
              measured: times(idle.alone, idlePeer.alone),
              reached: idle.alone <= 2 * idlePeer.alone,
            },
          ]
        : [],
    notes: [
      'RSS is the sum over serve and guard; ALONE counts what they share (the interpreter) once.',
      ...(idlePeer ? [] : [NO_PEER]),
    ],
    data: memory,
  };
}

export function startSection(starts: readonly StartRow[]): Section {
  const counts = [...new Set(starts.map(({ snapshots }) => snapshots))];
  const find = (wanted: string, count: number) =>
    starts.find(({ name, snapshots }) => name === wanted && snapshots === count);
  return {
    title: 'From the start of the process to the first answer to Probe (ms, medians)',
    columns: [
      ...['SNAPSHOTS', 'COFFERDAM', 'FROM SOURCES', 'HOST-PATH', 'RATIO', 'RSS', 'HOST-PATH RSS'].map((title) => ({
        title,
        align: 'right' as const,
      })),
    ],
    rows: counts.map((count) => {
      const [ours, sources, peer] = [find(OURS, count), find('sources', count), find(PEER, count)];
      return [
        String(count),
        ours ? ms(ours.startMs) : '',
        sources ? ms(sources.startMs) : '',
        peer ? ms(peer.startMs) : NOT_MEASURED,
        ours && peer ? times(ours.startMs, peer.startMs) : '',
        ours ? mebibytes(ours.memory.rss) : '',
        peer ? mebibytes(peer.memory.rss) : '',
      ];
    }),
    aims: counts.flatMap((count) => {
      const [ours, peer] = [find(OURS, count), find(PEER, count)];
      if (!ours || !peer) return [];
      const measured = times(ours.startMs, peer.startMs);
      return [
        {
          what: `start-up with ${count} snapshots`,
          aim: '2x host-path at most',
          measured,
          reached: ours.startMs <= 2 * peer.startMs,
        },
      ];
    }),
    notes: ['The pool is a folder on a mounted XFS here; MiB of memory right after the start.'],
    data: starts,
  };
}
