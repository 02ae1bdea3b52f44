/** What test files import as `@jest/globals`, without jest's own loader: that alone takes half a minute when emulated. */
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const circus = require('jest-circus') as typeof import('@jest/globals');

export const { afterAll, afterEach, beforeAll, beforeEach, describe, it, test } = circus;
export const { expect } = require('expect') as Pick<typeof import('@jest/globals'), 'expect'>;
