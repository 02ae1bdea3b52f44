import { jest } from '@jest/globals';

/** From here on timers are told when it is late; everything else takes turns of the event loop. */
export function tellTimers(): void {
  jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] });
}

/** Past whatever can go on now. */
export async function aWhile(): Promise<void> {
  for (let turn = 0; turn < 30; turn++) await new Promise(setImmediate);
}

/** @param ms as the timers count */
export async function pass(ms: number): Promise<void> {
  await jest.advanceTimersByTimeAsync(ms);
  await aWhile();
}
