/**
 * Makes what is published, in dist or in the folder that an argument names: our modules in a few files, because to find and
 * load hundreds of them took half of a start. Packages stay outside. The switch of the test build is off, so that neither
 * failpoints nor the negative control of `prove` can be reached. Types are not checked here. Run by `npm run build`.
 */
import { readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { build as bundle, type Plugin } from 'esbuild';

const SWITCH = /^(export const TEST_BUILD): boolean = true;$/m;

const ROOT = path.join(import.meta.dirname, '..');
const dist = path.resolve(process.argv[2] ?? path.join(ROOT, 'dist'));

/** What runs as a program or a thread of its own. */
const PROGRAMS = ['main', 'fence/guard/main', 'mounts/mount-group-thread', 'prove/load-thread', 'prove/writer-thread'];

let isReleased = false;
const release: Plugin = {
  name: 'release',
  setup: (build) => {
    build.onLoad({ filter: /\/src\/core\/build\.ts$/ }, async ({ path: file }) => {
      const text = await readFile(file, 'utf8');
      isReleased = SWITCH.test(text);
      return { contents: text.replace(SWITCH, '$1 = false;'), loader: 'ts' };
    });
  },
};

await rm(dist, { recursive: true, force: true });
await bundle({
  entryPoints: PROGRAMS.map((name) => path.join(ROOT, `src/${name}.ts`)),
  outbase: ROOT,
  outdir: dist,
  // Beside main.js: a module looks for files from where its code is (src/core/module-file.ts).
  chunkNames: 'src/[name]-[hash]',
  bundle: true,
  splitting: true,
  packages: 'external',
  platform: 'node',
  format: 'esm',
  target: 'node24',
  sourcemap: true,
  logLevel: 'warning',
  plugins: [release],
});
// A release that silently stayed a test build would be worse than none.
if (!isReleased) throw new Error("src/core/build.ts has no line 'export const TEST_BUILD: boolean = true;'");
