import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { defineRole, newProgram } from '../../../src/app/cli.ts';
import { type Environment, readOptions } from '../../../src/app/config.ts';
import { environmentNameOf, flagOf, OPTIONS, type OptionKey } from '../../../src/app/options.ts';
import { role as prove } from '../../../src/app/roles/prove.ts';
import { runCli } from '../../../src/app/run-cli.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'cofferdam-config-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function configFile(text: string): Promise<string> {
  const file = path.join(folder, `${Math.random()}.yaml`);
  await writeFile(file, text);
  return file;
}

const read = <K extends OptionKey>(
  keys: readonly K[],
  given: { flags?: Record<string, string>; environment?: Environment; file?: string },
) => readOptions(keys, { flags: {}, environment: {}, ...given });

describe('options', () => {
  test('flag before environment before file before default', async () => {
    const file = await configFile('leaseMs: 3000\n');
    const environment = { COFFERDAM_LEASE_MS: '2000' };
    expect(await read(['leaseMs'], {})).toEqual({ leaseMs: 5000 });
    expect(await read(['leaseMs'], { file })).toEqual({ leaseMs: 3000 });
    expect(await read(['leaseMs'], { file, environment })).toEqual({ leaseMs: 2000 });
    expect(await read(['leaseMs'], { file, environment, flags: { leaseMs: '1000' } })).toEqual({ leaseMs: 1000 });
  });

  test('a value in a file is taken as it is written', async () => {
    const file = await configFile('nodeName: 1.10\npoolSize: 9007199254740993\nleaseMs: "2000" # two seconds\n');
    expect(await read(['nodeName', 'poolSize', 'leaseMs'], { file })).toEqual({
      nodeName: '1.10',
      poolSize: 9_007_199_254_740_993n,
      leaseMs: 2000,
    });
  });

  test.each(['# nothing\n', '---\n'])('a file may hold nothing: %j', async (text) => {
    expect(await read(['leaseMs'], { file: await configFile(text) })).toEqual({ leaseMs: 5000 });
  });

  test('a file serves all roles: options of others are accepted, unknown ones are not', async () => {
    const file = await configFile('dataDir: /data\nrounds: 5\nhealth: true\npoolSize: 10GiB\n');
    expect(await read(['dataDir', 'health', 'poolSize'], { file })).toEqual({
      dataDir: '/data',
      health: true,
      poolSize: 10n * 1024n ** 3n,
    });
    await expect(read(['dataDir'], { file: await configFile('dataDirr: /x\n') })).rejects.toMatchObject({
      code: 'invalid-argument',
      message: expect.stringContaining('dataDirr: unknown'),
    });
  });

  test.each([
    ['- a list\n', 'must hold'],
    ['dataDir: [a]\n', 'single value'],
    ['dataDir:\n', 'dataDir: must be an absolute path'],
    ['dataDir: "unfinished\n', "can't be read"],
  ])('the file %j is refused', async (text, message) => {
    const refusal = { code: 'invalid-argument', message: expect.stringContaining(message) };
    await expect(read(['dataDir'], { file: await configFile(text) })).rejects.toMatchObject(refusal);
  });

  test('a missing file is refused, an empty one is empty', async () => {
    await expect(read(['dataDir'], { file: '/nowhere.yaml' })).rejects.toMatchObject({ code: 'invalid-argument' });
    expect(await read(['logLevel'], { file: await configFile('') })).toEqual({ logLevel: 'info' });
  });

  test('a misspelt variable is refused; those that Kubernetes sets for a Service are not', async () => {
    await expect(read(['logLevel'], { environment: { COFFERDAM_LOGLEVEL: 'debug' } })).rejects.toMatchObject({
      code: 'invalid-argument',
      message: expect.stringContaining('COFFERDAM_LOGLEVEL'),
    });
    const environment = {
      COFFERDAM_SERVICE_HOST: '10.0.0.1',
      COFFERDAM_SERVICE_PORT: '80',
      COFFERDAM_METRICS_SERVICE_PORT_HTTP: '80',
      COFFERDAM_PORT_80_TCP_ADDR: '10.0.0.1',
      COFFERDAM_PORT: 'tcp://10.0.0.1:80',
    };
    expect(await read(['logLevel'], { environment })).toEqual({ logLevel: 'info' });
  });

  test.each<[OptionKey, string]>([
    ['leaseMs', '0'],
    ['leaseMs', '99'],
    ['leaseMs', '30001'],
    ['leaseMs', '1e3'],
    ['overcommitRatio', '0.5'],
    ['poolReserve', '-1'],
    ['poolSize', 'much'],
    ['nodeName', 'Not A Name'],
    ['nodeName', 'n'.repeat(64)],
    ['dataDir', 'relative/path'],
    ['logLevel', 'loud'],
    ['backend', 'floppy'],
    ['health', 'maybe'],
    ['fsType', 'ntfs'],
    ['volumes', '1'],
    ['endpoint', 'tcp://127.0.0.1:80'],
    ['endpoint', 'csi.sock'],
    ['agentAddress', 'unix:///agent.sock'],
    ['agentAddress', 'tcp://127.0.0.1'],
  ])('%s can not be %j, and the message says what can', async (key, text) => {
    const refusal = { code: 'invalid-argument', message: expect.stringContaining(flagOf(key)) };
    await expect(read([key], { flags: { [key]: text } })).rejects.toMatchObject(refusal);
    const byVariable = { code: 'invalid-argument', message: expect.stringContaining(environmentNameOf(key)) };
    await expect(read([key], { environment: { [environmentNameOf(key)]: text } })).rejects.toMatchObject(byVariable);
  });

  test('every default passes its own check', async () => {
    const keys = Object.keys(OPTIONS) as OptionKey[];
    expect(await read(keys, {})).toMatchObject({ leaseMs: 5000, expediteRcu: true, json: false });
  });
});

describe('command line', () => {
  test.each([
    [[], false],
    [['--no-fence'], true],
  ])('%j: a switch is what it is called, also one that begins with no', async (args, noFence) => {
    const seen: unknown[] = [];
    const command = newProgram().command('role');
    const role = {
      description: '',
      options: ['noFence', 'json', 'volumes'] as const,
      run: async (options: unknown) => seen.push(options),
    };
    defineRole(command, role, { environment: {}, signal: new AbortController().signal, exitCode: 0 });
    await command.parseAsync([...args, '--json', '--volumes', '4'], { from: 'user' });
    expect(seen).toEqual([{ noFence, json: true, volumes: 4 }]);
  });

  const run = (...args: string[]) => runCli(args, {}, new AbortController().signal);

  test.each([
    [['serve', '--no-such-option']],
    [['serve', 'surplus']],
    [['no-such-role']],
    [['status', '--data-dir', 'relative']],
    [['prove', '--volumes', '1']],
  ])('%j ends with 2: used wrongly', async (args) => {
    expect(await run(...args)).toBe(2);
  });

  test.each([
    [{ poolSize: '8GiB' }, '--pool-size: is for the pool of a temporary driver, not for --driver'],
    [{ nodes: '3' }, '--nodes: is for a temporary cluster, not for --driver'],
    [{ access: 'block', fsType: 'ext4' }, '--fs-type: is for --access mount: a block volume has no filesystem'],
    [{ nodeDriver: 'a=unix:///a,b=unix:///b,c=unix:///c', volumes: '2' }, "--volumes: 2 can't be on 3 nodes"],
  ])('prove refuses what it would ignore: %j', async (given, message) => {
    const flags = { driver: `unix://${folder}/nobody.sock`, ...given };
    const options = await read(prove.options, { flags });
    await expect(prove.run(options, new AbortController().signal)).rejects.toThrow(message);
  });

  test.each([
    [['--version']],
    [['--help']],
    ...['serve', 'controller', 'node', 'guard', 'demo', 'prove', 'status'].map((role) => [[role, '--help']]),
  ])('%j ends with 0', async (args) => {
    expect(await run(...args)).toBe(0);
  });
});
