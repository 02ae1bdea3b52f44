import path from 'node:path';

/**
 * Where a module is that runs as a program or a thread of its own: in the sources, or in the build, where the other
 * modules are no longer in files of their own.
 * @param name below `src`, without its ending: `fence/guard/main`
 */
export function moduleFile(name: string): string {
  const [before = ''] = /^.*\/src(?=\/|$)/.exec(import.meta.dirname) ?? [];
  return path.join(before, `${name}${path.extname(import.meta.filename)}`);
}
