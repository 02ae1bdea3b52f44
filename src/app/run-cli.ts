import { CommanderError } from 'commander';
import { DriverError, messageOf } from '../core/errors.ts';
import { addRole, type CliResult, newProgram } from './cli.ts';
import type { Environment } from './config.ts';
import { demoRole } from './roles/demo.ts';
import { proveRole } from './roles/prove.ts';
import { serveRole } from './roles/serve.ts';
import { statusRole } from './roles/status.ts';

/**
 * @param args without the interpreter and the script
 * @returns the exit code: 0 done, 1 failed, 2 used wrongly
 */
export async function runCli(args: readonly string[], environment: Environment, signal: AbortSignal): Promise<number> {
  const program = newProgram().exitOverride();
  const result: CliResult = { exitCode: 0 };
  addRole(program, serveRole, environment, signal, result);
  addRole(program, demoRole, environment, signal, result);
  addRole(program, proveRole, environment, signal, result);
  addRole(program, statusRole, environment, signal, result);
  try {
    await program.parseAsync(args, { from: 'user' });
    return result.exitCode;
  } catch (error) {
    // Commander has printed its own message; --help ends this way too, with code 0.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    // What the user did wrong needs no stack; what we did wrong does.
    console.error(error instanceof DriverError ? `cofferdam: ${messageOf(error)}` : error);
    return error instanceof DriverError && error.code === 'invalid-argument' ? 2 : 1;
  }
}
