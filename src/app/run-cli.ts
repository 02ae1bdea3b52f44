import { type Command, CommanderError } from 'commander';
import { DriverError, errorsOf, hasCode, messageOf } from '../core/errors.ts';
import { type CliContext, defineRole, newProgram } from './cli.ts';
import type { Environment } from './config.ts';

interface RoleEntry {
  readonly summary: string;
  readonly define: (command: Command, context: CliContext) => Promise<void>;
}

/** Only the role that is asked for is loaded: `serve` starts without the rest. */
const ROLES: Readonly<Record<string, RoleEntry>> = {
  serve: {
    summary: 'serve all CSI services on one socket, with the node agent in the process',
    define: async (command, context) => defineRole(command, (await import('./roles/serve.ts')).role, context),
  },
  controller: {
    summary: 'serve the controller of many nodes, over their agents',
    define: async (command, context) => defineRole(command, (await import('./roles/controller.ts')).role, context),
  },
  node: {
    summary: "serve the kubelet of this node, and the node's agent for controllers",
    define: async (command, context) => defineRole(command, (await import('./roles/node.ts')).role, context),
  },
  guard: {
    summary: 'freeze and thaw for `serve`, as a process that outlives it',
    define: async (command, context) => defineRole(command, (await import('./roles/guard.ts')).role, context),
  },
  demo: {
    summary: 'see volumes made, written to, snapshotted as a group, restored and checked',
    define: async (command, context) => defineRole(command, (await import('./roles/demo.ts')).role, context),
  },
  prove: {
    summary: "check the consistency of any CSI driver's group snapshots",
    define: async (command, context) => defineRole(command, (await import('./roles/prove.ts')).role, context),
  },
  status: {
    summary: 'show the pool, volumes, snapshots, groups, and what is frozen',
    define: async (command, context) => defineRole(command, (await import('./roles/status.ts')).role, context),
  },
};

/**
 * @param args without the interpreter and the script
 * @returns the exit code: 0 done, 1 failed, 2 used wrongly
 */
export async function runCli(args: readonly string[], environment: Environment, signal: AbortSignal): Promise<number> {
  const context: CliContext = { environment, signal, exitCode: 0 };
  try {
    const program = newProgram().exitOverride();
    for (const [name, { summary, define }] of Object.entries(ROLES)) {
      const command = program.command(name).summary(summary);
      if (args.includes(name)) await define(command, context);
    }
    await program.parseAsync(args, { from: 'user' });
    return context.exitCode;
  } catch (error) {
    // Commander has printed its own message; --help ends this way too, with code 0.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    const [first, ...cleanUp] = errorsOf(error);
    report(first);
    for (const each of cleanUp) report(each);
    return hasCode(first, 'invalid-argument') ? 2 : 1;
  }
}

/** What the user did wrong needs no stack; what we did wrong does. */
function report(error: unknown): void {
  console.error(error instanceof DriverError ? `cofferdam: ${messageOf(error)}` : error);
}
