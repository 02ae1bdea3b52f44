/** `cofferdam status`: what is in the pool and what is frozen now, read from disk and kernel, not from the driver. */
import path from 'node:path';
import { BACKENDS } from '../../backends/registry.ts';
import { formatBytes } from '../../core/bytes.ts';
import type { InspectedDevice, PoolInspection } from '../../core/pool-inspection.ts';
import { formatTable } from '../../core/table.ts';
import { windowOf } from '../../fence/evidence.ts';
import { FreezeJournal, type JournalEntry } from '../../fence/journal.ts';
import { requireRoot } from '../../host/privileges.ts';
import type { Role } from '../cli.ts';

const STATUS_OPTIONS = [
  'dataDir',
  'backend',
  'volumeGroup',
  'thinPool',
  'overcommitRatio',
  'poolReserve',
  'json',
] as const;

export const role: Role<(typeof STATUS_OPTIONS)[number]> = {
  description:
    'Shows what is in a pool and what is frozen now. It changes nothing, and works with and without the driver.',
  options: STATUS_OPTIONS,
  run: async (options) => {
    requireRoot();
    const policy = { overcommitRatio: options.overcommitRatio, reservePercent: options.poolReserve };
    const pool = await BACKENDS[options.backend].inspect(options, policy);
    const frozen = await new FreezeJournal(path.join(options.dataDir, 'journal')).list();
    process.stdout.write(options.json ? renderJson(pool, frozen) : renderTables(pool, frozen));
    return 0;
  },
};

function renderJson(pool: PoolInspection, frozen: readonly JournalEntry[]): string {
  const text = JSON.stringify({ ...pool, frozen }, (_, value: unknown) =>
    typeof value === 'bigint' ? value.toString() : value,
  );
  return `${text}\n`;
}

export function renderTables(pool: PoolInspection, frozen: readonly JournalEntry[]): string {
  const sections = pool.mounted
    ? poolTables(pool)
    : [`Pool ${pool.folder} is not mounted. The driver mounts it when it starts.\n`];
  // Also then: what an agent that died has left frozen is on record beside the pool, not in it.
  return [...sections, frozenTable(frozen)].join('\n');
}

function poolTables(pool: PoolInspection): readonly string[] {
  const snapshots = pool.cuts.flatMap((cut) => cut.snapshots);
  const groups = pool.cuts.filter((cut) => cut.group);
  return [
    section(
      'Pool',
      ['FOLDER', 'TOTAL', 'FREE', 'PROMISED', 'AVAILABLE', 'DEVICE'],
      [
        [
          pool.folder,
          ...(pool.capacity
            ? [
                pool.capacity.totalBytes,
                pool.capacity.freeBytes,
                pool.capacity.promisedBytes,
                pool.capacity.availableBytes,
              ].map(formatBytes)
            : ['', '', '', '']),
          pool.device ? deviceText(pool.device) : '',
        ],
      ],
    ),
    section(
      'Volumes',
      ['ID', 'NAME', 'SIZE', 'CONTENT', 'DEVICES'],
      pool.volumes.map(({ volume, devices }) => [
        volume.id,
        volume.name,
        formatBytes(volume.capacityBytes),
        volume.content.kind === 'filesystem' ? volume.content.fsType : volume.content.kind,
        devices.map(deviceText).join(' '),
      ]),
    ),
    section(
      'Snapshots',
      ['ID', 'SOURCE', 'SIZE', 'CREATED', 'GROUP'],
      snapshots.map((snapshot) => [
        snapshot.id,
        snapshot.sourceVolumeId,
        formatBytes(snapshot.sizeBytes),
        new Date(snapshot.createdAt).toISOString(),
        snapshot.groupId ?? '',
      ]),
    ),
    section(
      'Groups',
      ['ID', 'NAME', 'MEMBERS', 'CREATED', 'WINDOW'],
      groups.map((cut) => [
        cut.group?.id ?? '',
        cut.group?.name ?? '',
        String(cut.snapshots.length),
        new Date(cut.snapshots[0]?.createdAt ?? 0).toISOString(),
        `${windowOf([cut]).toFixed(1)} ms`,
      ]),
    ),
  ];
}

function frozenTable(frozen: readonly JournalEntry[]): string {
  return section(
    'Frozen, or about to be',
    ['ROUND', 'WHAT', 'DEVICE'],
    frozen.flatMap(({ token, members }) =>
      members
        .flat()
        .map((layer) => [token, layer.kind === 'filesystem' ? layer.mountPoint : layer.name, layer.devNumber]),
    ),
  );
}

function deviceText({ path: device, readOnly, directIo }: InspectedDevice): string {
  const remarks = [readOnly && 'ro', directIo === false && 'no direct I/O'].filter(Boolean);
  return remarks.length > 0 ? `${device} (${remarks.join(', ')})` : device;
}

function section(title: string, columns: readonly string[], rows: readonly (readonly string[])[]): string {
  if (rows.length === 0) return `${title}: none\n`;
  const table = formatTable(
    columns.map((column) => ({ title: column })),
    rows,
    { indent: '  ' },
  );
  return `${title}\n${table}\n`;
}
