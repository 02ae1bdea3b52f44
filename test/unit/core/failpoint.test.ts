import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { isErrno } from '../../../src/core/errors.ts';
import { armFailpoints, failpoint } from '../../../src/core/failpoint.ts';

const MODULE = path.resolve(import.meta.dirname, '../../../src/core/failpoint.ts');

async function outcome(name: string): Promise<unknown> {
  return await failpoint(name).then(
    () => 'passed',
    (error: unknown) => error,
  );
}

describe('failpoints', () => {
  test('that are not armed do nothing', async () => {
    expect(await outcome('nobody.armed-this')).toBe('passed');
  });

  test('fail with the errno they were given, as a system call does', async () => {
    armFailpoints('test.full=fail:ENOSPC,test.broken=fail');
    expect(isErrno(await outcome('test.full'), 'ENOSPC')).toBe(true);
    expect(isErrno(await outcome('test.broken'), 'EIO')).toBe(true);
    expect(await outcome('test.other')).toBe('passed');
  });

  test('let passes through before they act', async () => {
    armFailpoints('test.third=fail:EIO@3');
    expect(await outcome('test.third')).toBe('passed');
    expect(await outcome('test.third')).toBe('passed');
    expect(isErrno(await outcome('test.third'), 'EIO')).toBe(true);
  });

  test('sleep', async () => {
    armFailpoints('test.slow=sleep:50');
    const start = performance.now();
    await failpoint('test.slow');
    expect(performance.now() - start).toBeGreaterThanOrEqual(49);
  });

  test('kill the process, and nothing after them runs', () => {
    const script = `
      import { armFailpoints, failpoint } from ${JSON.stringify(MODULE)};
      armFailpoints('test.die=kill@2');
      await failpoint('test.die');
      console.log('first');
      await failpoint('test.die');
      console.log('second');`;
    const { signal, stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
    expect({ signal, stdout }).toEqual({ signal: 'SIGKILL', stdout: 'first\n' });
  });

  test.each([
    'name',
    'name=',
    'name=explode',
    '=kill',
    'Name=kill',
    'na me=kill',
    'name=kill@',
    'name=kill@x',
    'name=kill@-1',
    'name=kill@0',
    'name=sleep',
    'name=sleep:soon',
    'name=kill;other=kill',
    'a=kill,b',
  ])('%j is refused', (spec) => {
    expect(() => armFailpoints(spec)).toThrow(expect.objectContaining({ code: 'invalid-argument' }));
  });

  test('an empty list arms nothing', () => {
    expect(() => armFailpoints('')).not.toThrow();
    expect(() => armFailpoints(',')).not.toThrow();
  });
});
