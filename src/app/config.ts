/** Reads options from flags, environment and file, in that order of precedence, and checks every one at start. */
import { readFile } from 'node:fs/promises';
import { TEST_BUILD } from '../core/build.ts';
import { DriverError, invalidArgument, messageOf } from '../core/errors.ts';
import { environmentNameOf, flagOf, OPTIONS, type OptionKey, type OptionValues } from './options.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

export interface Sources {
  /** Flags as given, by option key. */
  readonly flags: Readonly<Record<string, string | undefined>>;
  readonly environment: Environment;
  /** Path of the configuration file, when there is one. */
  readonly file?: string | undefined;
}

export const CONFIG_VARIABLE = 'COFFERDAM_CONFIG';

/**
 * @param keys the options that the role has; the file may hold any known option, so that one file serves all roles
 * @throws DriverError invalid-argument that names the source, the option, and what is allowed
 */
export async function readOptions<K extends OptionKey>(keys: readonly K[], sources: Sources): Promise<OptionValues<K>> {
  const file = sources.file === undefined ? {} : await readFileOptions(sources.file);
  refuseUnknownVariables(sources.environment);
  const values: Record<string, unknown> = {};
  for (const key of keys) {
    const { parse, fallback, hidden }: (typeof OPTIONS)[OptionKey] = OPTIONS[key];
    if (hidden && !TEST_BUILD) continue;
    const variable = environmentNameOf(key);
    const found = [
      [sources.flags[key], flagOf(key)],
      [sources.environment[variable], variable],
      [file[key], `${sources.file}: ${key}`],
      [fallback, `default of ${flagOf(key)}`],
    ].find(([text]) => text !== undefined);
    if (found?.[0] !== undefined) values[key] = parse(found[0], found[1] ?? key);
  }
  return values as OptionValues<K>;
}

async function readFileOptions(file: string): Promise<Readonly<Record<string, string>>> {
  let content: unknown;
  try {
    // Not for those who have no file: it is a tenth of the start.
    const { parse } = await import('yaml');
    // Values as they are written, as in a flag: as a number `1.10` is another name, and 2^53 + 1 another size.
    content = parse(await readFile(file, 'utf8'), { schema: 'failsafe' });
  } catch (cause) {
    throw new DriverError('invalid-argument', `configuration file ${file} can't be read: ${messageOf(cause)}`, {
      cause,
    });
  }
  if (content === null || content === '') return {};
  if (typeof content !== 'object' || Array.isArray(content))
    throw invalidArgument(file, 'must hold `key: value` lines');
  const options: Record<string, string> = {};
  for (const [key, value] of Object.entries(content)) {
    if (!isKnown(key)) throw invalidArgument(`${file}: ${key}`, `unknown; known are ${knownKeys().join(', ')}`);
    if (typeof value !== 'string') throw invalidArgument(`${file}: ${key}`, 'must be a single value');
    options[key] = value;
  }
  return options;
}

/** What Kubernetes sets in every pod of a namespace that has a Service named cofferdam or cofferdam-*. */
const SERVICE_VARIABLE = /_(SERVICE_HOST|SERVICE_PORT|SERVICE_PORT_\w+|PORT|PORT_\d+_\w+)$/;

/** A misspelt variable would be silently ignored; ours all start alike, so it can be seen. */
function refuseUnknownVariables(environment: Environment): void {
  const known = new Set([CONFIG_VARIABLE, 'COFFERDAM_NO_INSTALL', ...knownKeys().map(environmentNameOf)]);
  for (const name of Object.keys(environment)) {
    if (name.startsWith('COFFERDAM_') && !known.has(name) && !SERVICE_VARIABLE.test(name)) {
      throw invalidArgument(`environment variable ${name}`, `unknown; known are ${[...known].join(', ')}`);
    }
  }
}

function isKnown(key: string): key is OptionKey {
  return knownKeys().includes(key);
}

/** A release has no hidden options: whoever gives one is told so, and not left to believe that it works. */
function knownKeys(): readonly string[] {
  return Object.entries(OPTIONS)
    .filter(([, { hidden }]: [string, { readonly hidden?: true }]) => !hidden || TEST_BUILD)
    .map(([key]) => key);
}
