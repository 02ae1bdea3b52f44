/** The command line: one subcommand a role, its flags from the table of options. */
import { Command, Option } from 'commander';
import { TEST_BUILD } from '../core/build.ts';
import { CONFIG_VARIABLE, type Environment, readOptions } from './config.ts';
import { environmentNameOf, flagOf, OPTIONS, type OptionKey, type OptionRow, type OptionValues } from './options.ts';

/** A flag that only one role has. Switches have no `value`. */
export interface RoleFlag {
  readonly flag: string;
  readonly help: string;
  readonly fallback?: string;
  readonly hidden?: boolean;
}

export interface Role<K extends OptionKey> {
  readonly name: string;
  readonly summary: string;
  readonly description: string;
  readonly options: readonly K[];
  readonly flags?: readonly RoleFlag[];
  /** Resolves with the process's exit code. */
  readonly run: (
    options: OptionValues<K>,
    flags: Readonly<Record<string, unknown>>,
    signal: AbortSignal,
  ) => Promise<number>;
}

export interface CliResult {
  exitCode: number;
}

export function addRole<K extends OptionKey>(
  program: Command,
  role: Role<K>,
  environment: Environment,
  signal: AbortSignal,
  result: CliResult,
): void {
  const command = program.command(role.name).summary(role.summary).description(role.description);
  for (const key of role.options) {
    const { value, help, fallback, hidden }: OptionRow<unknown> = OPTIONS[key];
    if (hidden && !TEST_BUILD) continue;
    const detail = [fallback !== undefined && `default: ${fallback}`, `env: ${environmentNameOf(key)}`].filter(Boolean);
    const option = new Option(`${flagOf(key)} <${value ?? 'value'}>`, `${help} (${detail.join(', ')})`);
    command.addOption(hidden ? option.hideHelp() : option);
  }
  command.option('--config <file>', `YAML file with any of these options (env: ${CONFIG_VARIABLE})`);
  for (const { flag, help, fallback, hidden } of role.flags ?? []) {
    if (hidden && !TEST_BUILD) continue;
    const option = new Option(flag, help);
    if (fallback !== undefined) option.default(fallback);
    command.addOption(hidden ? option.hideHelp() : option);
  }
  command.action(async (flags: Record<string, string | undefined>) => {
    const file = flags.config ?? environment[CONFIG_VARIABLE];
    const options = await readOptions(role.options, { flags, environment, file });
    result.exitCode = await role.run(options, flags, signal);
  });
}

export function newProgram(): Command {
  return new Command('cofferdam')
    .description('CSI driver for local volumes, with group snapshots under one write fence')
    .allowExcessArguments(false)
    .showHelpAfterError('(add --help for what is possible)');
}
