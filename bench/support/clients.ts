/** Clients that call as fast as they are answered. */

/** One thing that a client does again and again. @param client counted from 0 @param turn the same, for each client */
export type Action = (client: number, turn: number) => Promise<unknown>;

/** @returns how often per second the action was done, over all clients */
export async function rateOf(action: Action, clients: number, durationMs: number): Promise<number> {
  const start = performance.now();
  let done = 0;
  const loop = async (client: number): Promise<void> => {
    for (let turn = 0; performance.now() - start < durationMs; turn++) {
      await action(client, turn);
      done++;
    }
  };
  await Promise.all(Array.from({ length: clients }, (_, client) => loop(client)));
  return (done * 1000) / (performance.now() - start);
}
