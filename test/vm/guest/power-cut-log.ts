/** What was acknowledged, on a raw disk that forgets nothing. */
import { open } from 'node:fs/promises';

const SECTOR = 512;
const STATE_BYTES = 1 << 20;
const PLACES = [0, STATE_BYTES] as const;
export const LOG_BYTES = PLACES.length * STATE_BYTES;

export interface World {
  readonly volumes: Record<string, { text: string; bytes: string }>;
  /** By name, of one volume each: what it must hold. */
  readonly snapshots: Record<string, string>;
  /** By name: members, and what they must hold. */
  readonly groups: Record<string, Record<string, string>>;
  /** What was under way: it may be there or not, and a volume may hold the text that was being written to it. */
  begun: { readonly name: string; readonly text?: string } | null;
}

/** The world in one write to the disk: two places in turn, the newer one that is whole counts. */
export class PowerCutLog {
  readonly #device: string;
  #turn = 0;

  constructor(device: string) {
    this.#device = device;
  }

  async read(): Promise<World> {
    await using file = await open(this.#device, 'r');
    const found: { turn: number; world: World }[] = [];
    for (const place of PLACES) {
      const { buffer } = await file.read(Buffer.alloc(STATE_BYTES), 0, STATE_BYTES, place);
      const text = buffer.toString('utf8', 0, Math.max(0, buffer.indexOf(0)));
      try {
        found.push(JSON.parse(text) as { turn: number; world: World });
      } catch {
        // Never written, or not whole.
      }
    }
    const newest = found.toSorted((a, b) => b.turn - a.turn)[0];
    this.#turn = newest?.turn ?? 0;
    return newest?.world ?? { volumes: {}, snapshots: {}, groups: {}, begun: null };
  }

  async write(world: World): Promise<void> {
    const text = Buffer.from(`${JSON.stringify({ turn: ++this.#turn, world })}\0`);
    const padded = Buffer.concat([text, Buffer.alloc(SECTOR - (text.length % SECTOR))]);
    await using file = await open(this.#device, 'r+');
    await file.write(padded, 0, padded.length, (this.#turn % 2) * STATE_BYTES);
    await file.sync();
  }
}

/** How often the world was written, also seen while it is. */
export async function turnOf(device: string): Promise<number> {
  await using file = await open(device, 'r');
  const turns = PLACES.map(async (place) => {
    const { buffer } = await file.read(Buffer.alloc(SECTOR), 0, SECTOR, place);
    return Number(/^\{"turn":(\d+),/.exec(buffer.toString('latin1'))?.[1] ?? 0);
  });
  return Math.max(...(await Promise.all(turns)));
}
