/**
 * Turns what tsc wrote into the release: the switch of the test build off, so that neither failpoints nor the negative
 * control of `prove` can be reached. Run by `npm run build`; an argument names another folder than dist.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const SWITCH = /^(export const TEST_BUILD) = true;$/m;

const dist = path.resolve(process.argv[2] ?? path.join(import.meta.dirname, '../dist'));
const file = path.join(dist, 'src/core/build.js');
const text = readFileSync(file, 'utf8');
// A release that silently stayed a test build would be worse than none.
if (!SWITCH.test(text)) throw new Error(`${file} has no line 'export const TEST_BUILD = true;'`);
writeFileSync(file, text.replace(SWITCH, '$1 = false;'));
