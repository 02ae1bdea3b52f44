/** Runs the upstream csi-sanity against our driver, with every feature switched on that we have, and none skipped by us. */
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Cluster } from '../support/cluster.ts';
import { ROOT, stream } from '../support/command.ts';
import { Driver, type DriverOptions } from '../support/driver.ts';
import type { Tally } from '../support/tally.ts';
import { parseJunit, type Spec } from './junit.ts';
import { expectedSkips } from './skips.ts';

const PROGRAM = path.join(ROOT, '.tools/bin/csi-sanity');
const GIB = 1024 ** 3;

export interface SanityRun {
  readonly accessType: 'mount' | 'block';
  /** The health calls of CSI 1.13 switched on. */
  readonly health: boolean;
  /** The controller's endpoint is apart from the node's, and the link is between them. */
  readonly apart?: true;
  /** Of the driver; a loop pool unless told. */
  readonly driver?: Pick<DriverOptions, 'flags' | 'poolSize'>;
}

/** The driver as csi-sanity meets it. */
interface Target extends AsyncDisposable {
  readonly endpoint: string;
  readonly controllerEndpoint: string;
  /** @returns the worst exit code of its processes */
  stop(): Promise<number>;
  log(): Promise<string>;
}

export const SANITY_RUNS: readonly SanityRun[] = [
  { accessType: 'mount', health: false },
  { accessType: 'block', health: false },
  { accessType: 'mount', health: true },
  { accessType: 'mount', health: false, apart: true },
];

/** Every secret that csi-sanity can send: the driver needs none, must take them, and must not log them. */
const SECRET = 'sanity-secret-that-no-log-may-show';
const SECRET_FIELDS = [
  'CreateVolumeSecret',
  'DeleteVolumeSecret',
  'ControllerPublishVolumeSecret',
  'ControllerUnpublishVolumeSecret',
  'ControllerValidateVolumeCapabilitiesSecret',
  'NodeStageVolumeSecret',
  'NodePublishVolumeSecret',
  'CreateSnapshotSecret',
  'DeleteSnapshotSecret',
  'ControllerExpandVolumeSecret',
  'ControllerModifyVolumeSecret',
  'ListSnapshotsSecret',
  'GetSnapshotSecret',
];

/** What the sidecars add with `--extra-create-metadata`: the parameters that a driver in a cluster gets. */
const VOLUME_PARAMETERS = {
  'csi.storage.k8s.io/pvc/name': 'data',
  'csi.storage.k8s.io/pvc/namespace': 'default',
  'csi.storage.k8s.io/pv/name': 'pvc-5a11',
};
const SNAPSHOT_PARAMETERS = {
  'csi.storage.k8s.io/volumesnapshot/name': 'before-lunch',
  'csi.storage.k8s.io/volumesnapshot/namespace': 'default',
  'csi.storage.k8s.io/volumesnapshotcontent/name': 'snapcontent-5a11',
};

export async function runSanity(
  { accessType, health, apart, driver: options = {} }: SanityRun,
  signal: AbortSignal,
): Promise<Tally> {
  if (!existsSync(PROGRAM)) throw new Error(`${PROGRAM} is missing: run test/tools/build.sh`);
  const folder = await mkdtemp(path.join(tmpdir(), 'sanity-'));
  try {
    // Everything is logged, so that a secret that is logged is found.
    const flags = ['--log-level', 'debug', '--health', health ? 'on' : 'off', ...(options.flags ?? [])];
    await using driver = await (apart ? startApart(flags) : startTogether({ ...options, folder, flags }));
    const specs = await runProgram(folder, driver, accessType, signal);
    const complaints = [...compareSkips(specs, expectedSkips(health)), ...(await complainOfDriver(driver, specs))];
    for (const complaint of complaints) console.error(`csi-sanity (${accessType}): ${complaint}`);
    const count = (status: Spec['status']) => specs.filter((spec) => spec.status === status).length;
    return { passed: count('passed'), failed: count('failed') + complaints.length, skipped: count('skipped') };
  } finally {
    // What is still mounted stays; the check of what is left behind tells.
    await rm(folder, { recursive: true, force: true }).catch(() => undefined);
  }
}

async function startTogether(options: DriverOptions): Promise<Target> {
  const driver = await Driver.start(options);
  const { endpoint } = driver;
  return {
    endpoint,
    controllerEndpoint: endpoint,
    stop: () => driver.stop(),
    log: () => driver.log(),
    [Symbol.asyncDispose]: () => driver[Symbol.asyncDispose](),
  };
}

/** One node: csi-sanity mounts every volume at one endpoint. */
async function startApart(flags: readonly string[]): Promise<Target> {
  const cluster = await Cluster.start({ nodes: 1, flags });
  return {
    endpoint: cluster.member('node-1').process.endpoint,
    controllerEndpoint: cluster.running.endpoint,
    stop: async () => Math.max(...(await cluster.stop()).map((code) => code ?? 128)),
    log: () => cluster.logs(),
    [Symbol.asyncDispose]: () => cluster[Symbol.asyncDispose](),
  };
}

async function runProgram(
  folder: string,
  driver: Target,
  accessType: SanityRun['accessType'],
  signal: AbortSignal,
): Promise<readonly Spec[]> {
  const report = path.join(folder, 'junit.xml');
  const input = async (name: string, text: string) => {
    const file = path.join(folder, name);
    await writeFile(file, text);
    return file;
  };
  const secrets = SECRET_FIELDS.map((field) => `${field}:\n  secretKey: ${SECRET}\n`).join('');
  await mkdir(path.join(folder, 'kubelet'));
  const flags = [
    `--csi.endpoint=${driver.endpoint}`,
    `--csi.controllerendpoint=${driver.controllerEndpoint}`,
    `--csi.mountdir=${path.join(folder, 'kubelet/mount')}`,
    `--csi.stagingdir=${path.join(folder, 'kubelet/staging')}`,
    `--csi.secrets=${await input('secrets.yaml', secrets)}`,
    `--csi.testvolumeparameters=${await input('volume.yaml', JSON.stringify(VOLUME_PARAMETERS))}`,
    `--csi.testsnapshotparameters=${await input('snapshot.yaml', JSON.stringify(SNAPSHOT_PARAMETERS))}`,
    `--csi.testvolumeaccesstype=${accessType}`,
    `--csi.testvolumesize=${GIB}`,
    `--csi.testvolumeexpandsize=${2 * GIB}`,
    '--csi.testnodevolumeattachlimit',
    `--csi.junitfile=${report}`,
    '--ginkgo.no-color',
  ];
  const code = await stream([PROGRAM, ...flags], signal);
  const specs = parseJunit(await readFile(report, 'utf8'));
  // A run that broke off after its last good spec must not pass.
  if (code !== 0 && specs.every(({ status }) => status !== 'failed'))
    return [...specs, { name: `csi-sanity ended with exit code ${code}`, status: 'failed', seconds: 0 }];
  return specs;
}

export function compareSkips(specs: readonly Spec[], expected: ReadonlySet<string>): readonly string[] {
  const skipped = specs.filter(({ status }) => status === 'skipped').map(({ name }) => name);
  return [
    ...skipped.filter((name) => !expected.has(name)).map((name) => `skipped, and nobody said why: ${name}`),
    ...[...expected]
      .filter((name) => !skipped.includes(name))
      .map((name) => `expected to be skipped, but not: ${name}`),
  ];
}

/** A driver that fell over, leaked a secret into its log, or can't end is a failure whatever the specs say. */
async function complainOfDriver(driver: Target, specs: readonly Spec[]): Promise<readonly string[]> {
  const code = await driver.stop();
  const log = await driver.log();
  if (specs.some(({ status }) => status === 'failed')) console.error(`--- log of the driver\n${log}`);
  return [
    ...(code === 0 ? [] : [`the driver ended with exit code ${code}`]),
    ...(log.includes(SECRET) ? ['a secret is in the log of the driver'] : []),
    // Else the line above sees nothing because nothing is logged.
    ...(log.includes('"secrets":"[redacted]"') ? [] : ['the log of the driver shows no request with secrets']),
  ];
}
