/**
 * What agent and guard say to each other: one JSON object a line, requests one way, replies and events the other
 * (`link.ts`). All times are `Clock.monotonicMs` of this machine, the same in every container of it.
 */
import type { RoundToken } from '../../core/round.ts';
import type { MemberLayers } from '../member.ts';

/** Threads of a guard: a round freezes so many filesystems at once, further ones wait for a thread. */
export const GUARD_THREADS = 128;

export type GuardRequest =
  /** Open what will be frozen, so that a thaw never needs a path. */
  | {
      readonly op: 'arm';
      readonly token: RoundToken;
      readonly members: readonly MemberLayers[];
      /** Value to restore rcu_expedited to; absent: leave it alone. */
      readonly rcuExpedited?: number;
      /**
       * File in the guard's folder of locks that it has a share of from now on until nothing of the round can be frozen any
       * more, also by a call that outlives it; absent: of an agent that does not look.
       */
      readonly lock?: string;
    }
  /** Write dirty pages back, outside the window. */
  | { readonly op: 'writeback'; readonly token: RoundToken }
  /** Freeze everything in parallel; thaw by yourself at `deadlineMs`. All or nothing. */
  | { readonly op: 'freeze'; readonly token: RoundToken; readonly deadlineMs: number }
  /** Thaw, close, forget. Of an unknown token: succeeds. */
  | { readonly op: 'thaw'; readonly token: RoundToken };

export type GuardReply =
  | { readonly op: 'arm' }
  | { readonly op: 'writeback' }
  /** When each member was frozen, in the order of `members`. */
  | { readonly op: 'freeze'; readonly frozenAtMs: readonly number[] }
  | {
      readonly op: 'thaw';
      readonly thawedAtMs: readonly number[];
      /** False for a member that somebody had thawed before: its cut can't be trusted. */
      readonly heldThroughout: readonly boolean[];
    };

export interface GuardFailure {
  /** errno name where there is one, such as EBUSY: somebody else holds it frozen. */
  readonly code: string;
  readonly message: string;
}

/** The guard says so by itself: these members are not frozen by it, and won't be; whoever freezes them is another. */
export interface GuardEvent {
  readonly token: RoundToken;
  readonly free: readonly number[];
}

export type RequestLine = { readonly id: number } & GuardRequest;
export type ReplyLine =
  | { readonly id: number; readonly ok: GuardReply }
  | { readonly id: number; readonly failed: GuardFailure }
  | GuardEvent;

/** Undefined for half a line: whoever was at the other end died while it wrote. */
export function parseLine<Line extends RequestLine | ReplyLine>(text: string): Line | undefined {
  try {
    return JSON.parse(text) as Line;
  } catch {
    return undefined;
  }
}
