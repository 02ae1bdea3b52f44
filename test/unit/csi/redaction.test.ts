import { readFile } from 'node:fs/promises';
import { expect, test } from '@jest/globals';
import { QUIET_METHODS, SECRET_FIELDS } from '../../../src/csi/redaction.ts';
import { redact } from '../../../src/rpc/redact.ts';
import { BLOCK, startCsiDriver } from '../support/csi-driver.ts';

async function secretFields(): Promise<readonly string[]> {
  const proto = await readFile('csi-proto/csi.proto', 'utf8');
  const fields = [...proto.matchAll(/(\w+)\s*=\s*\d+\s*\[[^\]]*\bcsi_secret\)\s*=\s*true/g)];
  // As proto-loader names them.
  return fields.map(([, name = '']) => name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase()));
}

test('every field that csi.proto marks csi_secret is blanked', async () => {
  const fields = await secretFields();
  expect(fields.length).toBeGreaterThanOrEqual(19);
  for (const field of fields) {
    const logged = JSON.stringify(redact({ a: [{ [field]: { key: 'hunter2' } }] }, SECRET_FIELDS));
    expect(logged).toBe(`{"a":[{"${field}":"[redacted]"}]}`);
  }
});

test('no secret gets into the log or an answer, whether a call succeeds or fails', async () => {
  await using driver = await startCsiDriver();
  const secrets = { password: 'hunter2' };
  const capability = {
    mount: { mountFlags: ['password=hunter2', 'bind=hunter2'] },
    accessMode: { mode: 'SINGLE_NODE_WRITER' },
  } as const;
  const failure = await driver.controller
    .CreateVolume({ name: 'v', volumeCapabilities: [capability], secrets })
    .catch((error: unknown) => String(error));
  expect(failure).toContain('volume_capabilities[0].mount.mount_flags[1]: "bind"');
  expect(failure).not.toContain('hunter2');
  await driver.controller.CreateVolume({ name: 'v', volumeCapabilities: [BLOCK], secrets });
  await expect(
    driver.controller.CreateVolume({
      name: 'v',
      volumeCapabilities: [BLOCK],
      secrets: { password: 'hunter2'.repeat(1000) },
    }),
  ).rejects.toMatchObject({ code: 'invalid-argument', message: 'secrets: has 7008 bytes, the limit is 4096' });
  expect(driver.logger.lines).toHaveLength(3);
  expect(JSON.stringify(driver.logger.lines)).not.toContain('hunter2');
});

test('one line for each call; what is asked for all the time only at debug', async () => {
  await using driver = await startCsiDriver();
  await driver.identity.Probe({});
  await driver.nodes.NodeGetInfo({});
  expect(driver.logger.lines.map(({ level, fields }) => [level, fields.rpc, fields.code])).toEqual([
    ['debug', 'Probe', 'OK'],
    ['info', 'NodeGetInfo', 'OK'],
  ]);
  expect(QUIET_METHODS.has('Probe')).toBe(true);
  expect(driver.metrics.rpcs.map(({ service, method, code }) => [service, method, code])).toEqual([
    ['csi.v1.Identity', 'Probe', 'OK'],
    ['csi.v1.Node', 'NodeGetInfo', 'OK'],
  ]);
});

test('what is long is cut, what is empty is left out', () => {
  const message = {
    name: 'x'.repeat(1000),
    list: Array.from({ length: 100 }, (_, i) => i),
    none: null,
    empty: {},
    bytes: Buffer.alloc(9),
  };
  const logged = redact(message, SECRET_FIELDS) as Record<string, unknown>;
  expect(Object.keys(logged)).toEqual(['name', 'list', 'bytes']);
  expect(String(logged.name)).toHaveLength(259);
  expect(logged.list).toHaveLength(33);
  expect(logged.bytes).toBe('9 bytes');
  let deep: object = {};
  for (let i = 0; i < 10_000; i++) deep = { deep };
  expect(JSON.stringify(redact(deep, SECRET_FIELDS)).length).toBeLessThan(1000);
});
