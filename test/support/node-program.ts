/** A node's storage in a process of its own, which a test can stop and kill: started by `NodeProcess`. */

import { DriverError, messageOf } from '../../src/core/errors.ts';
import { armFailpoints } from '../../src/core/failpoint.ts';
import { NEVER, Rig, type RigOptions } from './rig.ts';

export interface Call {
  readonly id: number;
  readonly method: keyof Api;
  readonly args: readonly unknown[];
}

export type Answer =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly failed: { readonly code: string; readonly message: string } };

let opened: Rig | undefined;

function rig(): Rig {
  if (!opened) throw new Error('nothing is open');
  return opened;
}

const api = {
  /** @returns what the log said */
  open: async (dataDir: string, options: RigOptions): Promise<readonly string[]> => {
    opened = await Rig.open(dataDir, options);
    return opened.log.messages();
  },
  close: async () => await rig()[Symbol.asyncDispose](),
  arm: async (failpoints: string) => armFailpoints(failpoints),
  create: async (...args: Parameters<Rig['create']>) => await rig().create(...args),
  attach: async (...args: Parameters<Rig['backend']['attach']>) => await rig().backend.attach(...args),
  detach: async (...args: Parameters<Rig['backend']['detach']>) => await rig().backend.detach(...args),
  setContent: async (...args: Parameters<Rig['backend']['setContent']>) => await rig().backend.setContent(...args),
  expand: async (id: string, bytes: bigint) => await rig().backend.expandVolume(id, bytes, NEVER),
  deleteVolume: async (id: string) => await rig().backend.deleteVolume(id),
  deleteGroup: async (id: string) => await rig().backend.deleteGroup(id),
  volumes: async () => (await rig().backend.listVolumes({})).items,
  journal: async () => await rig().journal(),
  snapshots: async () => (await rig().backend.listSnapshots({}, {})).items,
  group: async (name: string, volumes: readonly string[]) => await rig().group(name, volumes),
  prepare: async (plan: Parameters<Rig['agent']['prepare']>[0]) => await rig().agent.prepare(plan, NEVER),
  freeze: async (token: string) => await rig().agent.freeze(token, NEVER),
  cut: async (token: string) => await rig().agent.cut(token, NEVER),
  commit: async (token: string) => await rig().agent.commit(token, NEVER),
  abort: async (token: string) => await rig().agent.abort(token, NEVER),
};

export type Api = typeof api;

async function answer({ id, method, args }: Call): Promise<Answer> {
  try {
    const call = api[method] as (...values: readonly unknown[]) => Promise<unknown>;
    return { id, value: await call(...args) };
  } catch (error) {
    const code = error instanceof DriverError ? error.code : 'not a DriverError';
    return { id, failed: { code, message: messageOf(error) } };
  }
}

process.on('message', (call: Call) => {
  void answer(call).then((reply) => process.send?.(reply));
});
// The test has gone: nobody is left to end this process.
process.on('disconnect', () => process.exit(1));
process.send?.({ id: 0, value: 'ready' } satisfies Answer);
