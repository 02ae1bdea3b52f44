/**
 * The way to one guard, whatever it runs as: a child of the agent (`child-link.ts`) or a process of its own role
 * (`socket-link.ts`). Lines in both directions, and two ways to part.
 */
import type { Readable, Writable } from 'node:stream';

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
   * Ends a guard that doesn't answer. Resolves when it is `gone`; or soon, when it is not ours to kill: then it can only
   * be stopped, and whatever it freezes when it goes on it undoes at once.
   */
  end(): Promise<void>;
}

/** Resolves when all was read that came, and nothing more can; however it ended. */
export function closed(replies: Readable): Promise<void> {
  return new Promise((resolve) => {
    replies.once('close', () => resolve());
  });
}
