/**
 * Every option once: from this table come the command-line flag (`--data-dir`), the environment variable
 * (`COFFERDAM_DATA_DIR`), the key in the configuration file (`dataDir`), the help text and the check.
 * Precedence: flag, environment, file, default.
 */
import { hostname } from 'node:os';
import { BACKENDS, type BackendName } from '../backends/registry.ts';
import { MAX_LEASE_MS } from '../core/round.ts';
import { DEFAULT_FS_TYPE, FS_TYPES, type FsType } from '../core/volume.ts';
import { LOG_LEVELS, type LogLevel } from '../obs/logger.ts';
import {
  absolutePath,
  decimal,
  integer,
  lvmName,
  nodeEndpoints,
  nodeName,
  oneOf,
  onOff,
  parseSize,
  socketPath,
  tcpAddress,
  text,
} from './option-parsers.ts';
import { RUN_FOLDER } from './run-folder.ts';

const BACKEND_NAMES = Object.keys(BACKENDS) as readonly BackendName[];

export interface OptionRow<T> {
  /** What stands for the value in the help text; absent for a switch: the flag alone means `on`. */
  readonly value?: string;
  readonly help: string;
  /** As a person would write it; absent: the option has no value unless given. */
  readonly fallback?: string | undefined;
  /** @throws DriverError invalid-argument that names `field` and says what is allowed */
  readonly parse: (text: string, field: string) => T;
  /** Only in the test build, and in no help text. */
  readonly hidden?: true;
}

type WithFallback<T> = OptionRow<T> & { readonly fallback: string };

const row = <T>(definition: WithFallback<T>): WithFallback<T> => definition;
const optional = <T>(definition: OptionRow<T> & { readonly fallback?: undefined }) => definition;

export const OPTIONS = {
  endpoint: row({
    value: 'unix:///path',
    help: 'socket that the CSI services are served on',
    fallback: `unix://${RUN_FOLDER}/csi.sock`,
    parse: socketPath,
  }),
  dataDir: row({
    value: 'folder',
    help: "the pool, its lock and the journal; on the node's own disk",
    fallback: '/var/lib/cofferdam',
    parse: absolutePath,
  }),
  backend: row<BackendName>({
    value: 'name',
    help: BACKEND_NAMES.join(', '),
    fallback: 'loop',
    parse: oneOf(BACKEND_NAMES),
  }),
  poolSize: optional({
    value: 'size',
    help: 'size of a pool that the driver makes: a filesystem of its own, or the thin pool; it can grow later (default: 80 % of what is free; on a data folder that can reflink, no filesystem of its own)',
    parse: parseSize,
  }),
  volumeGroup: row({
    value: 'name',
    help: 'lvm-thin: the volume group, which must be there',
    fallback: 'cofferdam',
    parse: lvmName,
  }),
  thinPool: row({
    value: 'name',
    help: 'lvm-thin: the thin pool in it; made when missing',
    fallback: 'pool',
    parse: lvmName,
  }),
  nodeName: row({
    value: 'name',
    help: 'name of this node, part of every id',
    fallback: hostname().toLowerCase(),
    parse: nodeName,
  }),
  leaseMs: row({
    value: 'ms',
    help: 'longest time that anything is frozen; past it the node thaws by itself and the snapshot fails',
    fallback: '5000',
    parse: integer(100, MAX_LEASE_MS),
  }),
  fenceBudgetMs: row({
    value: 'ms',
    help: 'longest time that a cut may be expected to take; past it nothing is frozen and the snapshot fails, see docs/consistency.md',
    fallback: '1000',
    parse: integer(1, MAX_LEASE_MS),
  }),
  expediteRcu: row({
    value: 'on|off',
    help: 'raise the kernel-wide rcu_expedited while frozen: windows many times shorter, see docs/consistency.md',
    fallback: 'on',
    parse: onOff,
  }),
  guardSocket: optional({
    value: '/path',
    help: 'socket of `cofferdam guard`, the process that freezes and thaws (serve: a child process unless given)',
    parse: socketPath,
  }),
  overcommitRatio: row({
    value: 'ratio',
    help: 'promise at most so many times what the pool holds; 1: never more than there is',
    fallback: '2',
    parse: decimal(1, 1000),
  }),
  poolReserve: row({
    value: 'percent',
    help: 'share of the pool that is kept free; below it nothing new is made',
    fallback: '5',
    parse: decimal(0, 90),
  }),
  health: row({
    value: 'on|off',
    help: 'offer the alpha health RPCs of CSI 1.13',
    fallback: 'off',
    parse: onOff,
  }),
  snapshotTopology: row({
    value: 'on|off',
    help: 'offer the alpha topology of snapshots of CSI 1.13',
    fallback: 'off',
    parse: onOff,
  }),
  metricsAddress: optional({
    value: 'host:port',
    help: 'serve /metrics and /healthz there, such as 127.0.0.1:9808 (default: not at all)',
    parse: text,
  }),
  logLevel: row<LogLevel>({
    value: 'level',
    help: LOG_LEVELS.join(', '),
    fallback: 'info',
    parse: oneOf(LOG_LEVELS),
  }),
  untilStdinCloses: row({
    help: 'stop when standard input closes: for a parent process that may die',
    fallback: 'off',
    parse: onOff,
  }),
  json: row({ help: 'for programs: one JSON object, sizes as decimal strings', fallback: 'off', parse: onOff }),
  agentAddress: row({
    value: 'tcp://host:port',
    help: "where the node's agent listens for controllers",
    fallback: 'tcp://0.0.0.0:9810',
    parse: tcpAddress,
  }),
  agents: optional({
    value: 'name=host:port,...',
    help: 'the nodes and where their agents listen',
    parse: text,
  }),
  agentsFile: optional({
    value: 'file',
    help: 'the same in a file, one a line, read again when it changes',
    parse: absolutePath,
  }),
  tlsCa: optional({
    value: 'file',
    help: 'certificate of the authority that signs for controllers and agents (PEM)',
    parse: absolutePath,
  }),
  tlsCert: optional({ value: 'file', help: 'own certificate (PEM)', parse: absolutePath }),
  tlsKey: optional({ value: 'file', help: 'key of the own certificate (PEM)', parse: absolutePath }),
  insecure: row({
    help: 'no certificates between controllers and agents: whoever reaches an agent can do everything',
    fallback: 'off',
    parse: onOff,
  }),
  driver: optional({
    value: 'unix:///path',
    help: 'endpoint of the CSI driver to check, any driver (default: one of our own on a temporary pool)',
    parse: text,
  }),
  nodeDriver: optional({
    value: 'name=unix:///path,...',
    help: 'endpoints of its node services on several nodes, all of them on this machine (default: that of --driver)',
    parse: nodeEndpoints,
  }),
  nodes: optional({
    value: 'count',
    help: 'a temporary cluster of so many nodes, instead of a driver that is controller and node in one',
    parse: integer(1, 64),
  }),
  volumes: row({
    value: 'count',
    help: 'volumes that are written in turn and snapshotted as a group',
    fallback: '3',
    parse: integer(2, 1000),
  }),
  rounds: row({ value: 'count', help: 'group snapshots to take', fallback: '20', parse: integer(1, 1_000_000) }),
  access: row<'mount' | 'block'>({
    value: 'type',
    help: 'mount or block',
    fallback: 'mount',
    parse: oneOf(['mount', 'block']),
  }),
  fsType: optional<FsType>({
    value: 'type',
    help: `of mounted volumes: ${FS_TYPES.join(', ')} (default: ${DEFAULT_FS_TYPE})`,
    parse: oneOf(FS_TYPES),
  }),
  volumeSize: optional({
    value: 'size',
    help: 'size of each volume (default: small, but enough for its filesystem)',
    parse: parseSize,
  }),
  load: row({
    value: 'size',
    help: 'buffered writes beside the ordered ones, bytes per second over all volumes',
    fallback: '0',
    parse: parseSize,
  }),
  seed: optional({ value: 'number', help: "repeats a run's random orders", parse: integer(0, 999_999_999) }),
  noFence: row({ help: '', fallback: 'off', parse: onOff, hidden: true }),
  noBarrier: row({ help: '', fallback: 'off', parse: onOff, hidden: true }),
  failpoints: optional({ value: 'spec', help: '', parse: text, hidden: true }),
} as const;

export type OptionKey = keyof typeof OPTIONS;
export type OptionValue<K extends OptionKey> = ReturnType<(typeof OPTIONS)[K]['parse']>;

type Always<K extends OptionKey> = K extends OptionKey
  ? (typeof OPTIONS)[K] extends { readonly fallback: string }
    ? K
    : never
  : never;

/** Options with a fallback always have a value; the others may be absent. */
export type OptionValues<K extends OptionKey> = { readonly [P in Always<K>]: OptionValue<P> } & {
  readonly [P in Exclude<K, Always<K>>]?: OptionValue<P>;
};

export function flagOf(key: string): string {
  return `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

export function environmentNameOf(key: string): string {
  return `COFFERDAM_${key.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
}
