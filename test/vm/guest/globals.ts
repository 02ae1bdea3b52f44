/** What test files import as `@jest/globals`, without jest's own loader: that alone takes half a minute when emulated. */
import { createRequire } from 'node:module';

/** Jest's own parts, in the versions that it came with. */
const ofJest = createRequire(createRequire(import.meta.url).resolve('jest/package.json'));
const circus = ofJest('jest-circus') as typeof import('@jest/globals');

export const { afterAll, afterEach, beforeAll, beforeEach, describe, it, test } = circus;
export const { expect } = ofJest('expect') as Pick<typeof import('@jest/globals'), 'expect'>;
