/** A copy of the house without its furniture: the linters' own files and whatever sources a test puts there. */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const ROOT = path.resolve(import.meta.dirname, '../..');
const CONFIG = ['biome.json', '.oxlintrc.json', '.gitignore', 'package.json', 'tsconfig.json'];

export interface Finding {
  readonly file: string;
  readonly rule: string;
}

export class LintCopy implements Disposable {
  readonly #folder = mkdtempSync(path.join(tmpdir(), 'cofferdam-house-'));

  constructor() {
    for (const file of CONFIG) cpSync(path.join(ROOT, file), path.join(this.#folder, file));
    symlinkSync(path.join(ROOT, 'node_modules'), path.join(this.#folder, 'node_modules'));
  }

  write(file: string, text: string): void {
    const target = path.join(this.#folder, file);
    mkdirSync(path.dirname(target), { recursive: true });
    writeFileSync(target, text);
  }

  biome(...args: string[]): readonly Finding[] {
    const report = this.#run('biome', 'lint', '--reporter=json', '--max-diagnostics=none', ...args) as {
      diagnostics: { category: string; location: { path: string } }[];
    };
    return report.diagnostics.map(({ category, location }) => ({ file: location.path, rule: category }));
  }

  oxlint(): readonly Finding[] {
    const report = this.#run('oxlint', '--format=json', 'src') as { diagnostics: { code: string; filename: string }[] };
    return report.diagnostics.map(({ code, filename }) => ({ file: filename, rule: code }));
  }

  #run(tool: string, ...args: string[]): unknown {
    const { stdout, stderr } = spawnSync(path.join(ROOT, 'node_modules/.bin', tool), args, {
      cwd: this.#folder,
      encoding: 'utf8',
      maxBuffer: 64 << 20,
    });
    try {
      return JSON.parse(stdout);
    } catch (cause) {
      throw new Error(`${tool} printed no report: ${stdout}${stderr}`, { cause });
    }
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
