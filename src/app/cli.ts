/** The command line: one subcommand a role, its flags from the table of options. */
import { Command, Option } from 'commander';
import { TEST_BUILD } from '../core/build.ts';
import { CONFIG_VARIABLE, type Environment, readOptions } from './config.ts';
import { environmentNameOf, flagOf, OPTIONS, type OptionKey, type OptionRow, type OptionValues } from './options.ts';

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
  for (const key of role.options) {
    const { value, help, fallback, hidden }: OptionRow<unknown> = OPTIONS[key];
    if (hidden && !TEST_BUILD) continue;
    const detail = [fallback !== undefined && `default: ${fallback}`, `env: ${environmentNameOf(key)}`].filter(Boolean);
    const form = value === undefined ? flagOf(key) : `${flagOf(key)} <${value}>`;
    const option = new Option(form, `${help} (${detail.join(', ')})`);
    command.addOption(hidden ? option.hideHelp() : option);
  }
  command.option('--config <file>', `YAML file with any of these options (env: ${CONFIG_VARIABLE})`);
  command.action(async (given: Record<string, string | true | undefined>) => {
    const flags = Object.fromEntries(Object.entries(given).map(([key, text]) => [key, text === true ? 'on' : text]));
    const file = flags.config ?? environment[CONFIG_VARIABLE];
    const options = await readOptions(role.options, { flags, environment, file });
    context.exitCode = await role.run(options, signal);
  });
}

export function newProgram(): Command {
  return new Command('cofferdam')
    .description('CSI driver for local volumes, with group snapshots under one write fence')
    .allowExcessArguments(false)
    .showHelpAfterError('(add --help for what is possible)');
}
