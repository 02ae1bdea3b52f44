/**
 * The way to one guard, whatever it runs as: a child of the agent (`child-link.ts`) or a process of its own role
 * (`socket-link.ts`). Lines in both directions, and two ways to part.
 */
import type { Readable, Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';

/** A guard that lives has thawed and parted by then, and one that was killed is gone; else it is stopped, or stuck. */
const END_LIMIT_MS = 300;

export interface GuardLink {
  /** Ending it parts in peace: the guard thaws what it still holds for us, and then it is `gone`. */
  readonly requests: Writable;
  readonly replies: Readable;
  /**
   * Resolves when nothing that was asked for here can be frozen any more, and every reply was read. Either the guard
   * has undone it all, or the kernel has closed its end, which it does only after the last thread has left it.
   */
  readonly gone: Promise<void>;
  /**
   * Ends a guard that doesn't answer. Resolves when it is `gone`, or soon. Until it is gone a freeze that it was asked for
   * may still come: one that is stopped undoes that when it goes on; one that was killed with a call stuck in the kernel
   * can't.
   */
  end(): Promise<void>;
}

/** Resolves when it is gone, or soon: nobody waits for a slow disk, or a stopped process, with everything frozen. */
export async function goneOrSoon(gone: Promise<void>): Promise<void> {
  await Promise.race([gone, sleep(END_LIMIT_MS)]);
}

/** Resolves when all was read that came, and nothing more can; however it ended. */
export function closed(replies: Readable): Promise<void> {
  return new Promise((resolve) => {
    replies.once('close', () => resolve());
  });
}
