// Sources are ESM TypeScript with `.ts` imports; swc strips the types, `tsc --noEmit` checks them (npm run check).
const tier = (name) => ({
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
  setupFiles: ['<rootDir>/test/support/suppressed-error.ts'],
  // Not below TMPDIR, which is a new folder in every run of `npm test`.
  cacheDirectory: '<rootDir>/node_modules/.cache/jest',
});

export default {
  // Not per tier: jest ignores it inside `projects`. No test may fail because the machine is slow.
  testTimeout: 900_000,
  projects: ['unit', 'contract', 'integration', 'vm', 'prove', 'fault', 'cluster', 'scale', 'soak'].map(tier),
};
