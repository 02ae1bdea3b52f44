import { existsSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from '@jest/globals';
import { moduleFile } from '../../../src/core/module-file.ts';
import { ROOT } from '../../support/command.ts';

test.each(['main', 'fence/guard/main', 'prove/load-thread', 'prove/writer-thread'])('%s is found', (name) => {
  expect(moduleFile(name)).toBe(path.join(ROOT, `src/${name}.ts`));
  expect(existsSync(moduleFile(name))).toBe(true);
});
