// Sources are ESM TypeScript with `.ts` imports; swc strips the types, `tsc --noEmit` checks them (npm run check).
const tier = (name, testTimeout) => ({
  displayName: name,
  rootDir: import.meta.dirname,
  testEnvironment: 'node',
  extensionsToTreatAsEsm: ['.ts'],
  testMatch: [`<rootDir>/test/${name}/**/*.test.ts`],
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      { jsc: { target: 'es2024', parser: { syntax: 'typescript' } }, module: { type: 'es6' } },
    ],
  },
  testTimeout,
  // Not below TMPDIR, which is a new folder in every run of `npm test`.
  cacheDirectory: '<rootDir>/node_modules/.cache/jest',
});

export default {
  projects: [
    tier('unit', 30_000),
    tier('contract', 120_000),
    tier('integration', 300_000),
    tier('prove', 900_000),
    tier('fault', 900_000),
  ],
};
