/** The command line: one subcommand a role, its flags from the table of options. */
import { Command, Option } from 'commander';
import { TEST_BUILD } from '../core/build.ts';
import { CONFIG_VARIABLE, type Environment, readOptions } from './config.ts';
import { environmentNameOf, flagOf, OPTIONS, type OptionKey, type OptionRow, type OptionValues } from './options.ts';
import { VERSION } from './version.ts';

export interface Role<K extends OptionKey> {
  readonly description: string;
  readonly options: readonly K[];
  /** Resolves with the process's exit code. */
  readonly run: (options: OptionValues<K>, signal: AbortSignal) => Promise<number>;
}

export interface CliContext {
  readonly environment: Environment;
  readonly signal: AbortSignal;
  /** Set by the role that ran. */
  exitCode: number;
}

/** Gives a role's command its options and what it does. */
export function defineRole<K extends OptionKey>(command: Command, role: Role<K>, context: CliContext): void {
  const { environment, signal } = context;
  command.description(role.description);
  const attributes = new Map<string, string>();
  for (const key of role.options) {
    const { value, help, fallback, hidden }: OptionRow<unknown> = OPTIONS[key];
    if (hidden && !TEST_BUILD) continue;
    const detail = [fallback !== undefined && `default: ${fallback}`, `env: ${environmentNameOf(key)}`].filter(Boolean);
    const form = value === undefined ? flagOf(key) : `${flagOf(key)} <${value}>`;
    const option = new Option(form, `${help} (${detail.join(', ')})`);
    command.addOption(hidden ? option.hideHelp() : option);
    attributes.set(key, option.attributeName());
  }
  command.option('--config <file>', `YAML file with any of these options (env: ${CONFIG_VARIABLE})`);
  command.action(async (given: Readonly<Record<string, string | boolean | undefined>>) => {
    const flags = Object.fromEntries([...attributes].map(([key, attribute]) => [key, flagText(given, key, attribute)]));
    const file = typeof given.config === 'string' ? given.config : environment[CONFIG_VARIABLE];
    const options = await readOptions(role.options, { flags, environment, file });
    context.exitCode = await role.run(options, signal);
  });
}

/** What a flag says: a switch says `on`. Commander takes `--no-x` for the opposite of a `--x`, which is on by default. */
function flagText(
  given: Readonly<Record<string, string | boolean | undefined>>,
  key: string,
  attribute: string,
): string | undefined {
  const value = given[attribute];
  if (typeof value === 'string') return value;
  const isSet = key === attribute ? value === true : value === false;
  return isSet ? 'on' : undefined;
}

export function newProgram(): Command {
  return new Command('cofferdam')
    .description('CSI driver for local volumes, with group snapshots under one write fence')
    .version(VERSION, '--version', 'print the version')
    .allowExcessArguments(false)
    .showHelpAfterError('(add --help for what is possible)');
}
