/**
 * Every RPC with wrong, missing, huge and hostile values in every field, with random mixtures of them, and with bytes that
 * are no message. Each answer has a code that says what is wrong and names the field; a refused call changes nothing; the
 * driver lives, and no secret is in its log.
 */
import { randomInt } from 'node:crypto';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { DriverError } from '../../src/core/errors.ts';
import { Random } from '../../src/prove/random.ts';
import { dataOf } from '../support/serve.ts';
import { Fixture, undo } from './fuzz/fixture.ts';
import { type Answer, blame, objection } from './fuzz/oracle.ts';
import { type Message, type Place, placesIn, RPCS, type Rpc, serviceOf, withValue } from './fuzz/schema.ts';
import { randomRequest, rawRequests, SECRET, stringValues, valuesFor } from './fuzz/values.ts';
import { World } from './world.ts';

const SEED = Number(process.env.FAULT_SEED ?? randomInt(2 ** 31));
const RANDOM_REQUESTS = 25;
const TOLD = 20;

let world: World;
let fixture: Fixture;
let strings: readonly string[];
let pid: number;

beforeAll(async () => {
  world = await World.open({ quiet: true, flags: ['--health', 'on'] });
  pid = world.serve.pid;
  fixture = await Fixture.make(world);
  strings = stringValues(fixture.lures);
});

afterAll(async () => world[Symbol.asyncDispose]());

/** Sends requests one after the other, and watches what they do. */
class Attacker {
  readonly complaints: string[] = [];
  readonly tally = new Map<string, number>();
  readonly #rpc: Rpc;
  #state = '';
  #attached: readonly string[] = [];

  constructor(rpc: Rpc) {
    this.#rpc = rpc;
  }

  async begin(): Promise<this> {
    this.#state = await fixture.state();
    this.#attached = await fixture.attached();
    return this;
  }

  async send(what: string, request: Message, call: () => Promise<Message>): Promise<Answer> {
    const answer = await answerOf(call());
    this.tally.set(answer.code, (this.tally.get(answer.code) ?? 0) + 1);
    if (answer.code !== 'ok') {
      const state = await fixture.state();
      if (state !== this.#state) this.complain(what, answer, `changed something:\n${difference(this.#state, state)}`);
      this.#state = state;
    } else {
      await undo(world, this.#rpc, request, answer.message);
      if (this.#rpc.service === 'Node') fixture.restoreLures();
      await emptied(path.join(dataOf(world.scratch), 'pool/trash'));
      this.#state = await fixture.state();
    }
    const wrong = objection(this.#rpc, answer);
    if (wrong !== undefined) this.complain(what, answer, wrong);
    return answer;
  }

  complain(what: string, answer: Answer, wrong: string): void {
    const told = answer.code === 'ok' ? 'ok' : `${answer.code}: ${answer.message.slice(0, 300)}`;
    this.complaints.push(`${this.#rpc.method}, ${what}: ${wrong}; the answer was ${told}`);
  }

  async expectNothingWrong(): Promise<void> {
    expect(await fixture.attached()).toEqual(this.#attached);
    expect(this.complaints.slice(0, TOLD)).toEqual([]);
    expect(world.serve.ended).toBe(false);
  }
}

async function answerOf(call: Promise<Message>): Promise<Answer & { readonly message: never }> {
  try {
    return { code: 'ok', message: await call } as never;
  } catch (error) {
    if (!(error instanceof DriverError)) throw error;
    return { code: error.code, message: error.message } as never;
  }
}

function difference(before: string, after: string): string {
  const lines = (text: string) => (JSON.parse(text) as string[][]).flat();
  const [old, now] = [new Set(lines(before)), new Set(lines(after))];
  return [
    ...[...old.difference(now)].map((line) => `- ${line}`),
    ...[...now.difference(old)].map((line) => `+ ${line}`),
  ]
    .slice(0, 10)
    .join('\n');
}

/** Messages within are the same in many requests, and read by the same code: each time another third of the strings. */
function stringsFor({ method }: Rpc, { path: steps }: Place): readonly string[] {
  if (steps.length === 1) return strings;
  return strings.filter((_, i) => i % 3 === method.length % 3);
}

/** A field is tried in the first good request that has it. */
function baseFor(bases: readonly Message[], { path: steps }: Place): Message {
  const has = (base: unknown) => steps.reduce<unknown>((at, step) => (at as Message | undefined)?.[step], base) != null;
  return bases.find(has) ?? bases[0] ?? {};
}

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > 120 ? `${text.slice(0, 120)}... (${text.length} characters)` : text;
}

const named = RPCS.map((rpc) => [rpc.method, rpc] as const);

describe(`seed ${SEED}`, () => {
  test.each(named)('%s: good requests are answered', async (method, rpc) => {
    using client = fixture.client(serviceOf(rpc.service));
    const attacker = await new Attacker(rpc).begin();
    for (const request of fixture.good[method] ?? [{}]) {
      const answer = await attacker.send('as it should be', request, async () => client[method]?.(request) ?? {});
      const { code } = answer;
      if (objection(rpc, { code: 'ok' }) === undefined && code !== 'ok')
        attacker.complain(show(request), answer, 'is good');
    }
    await attacker.expectNothingWrong();
  });

  test.each(named)('%s: each value in each field', async (method, rpc) => {
    using client = fixture.client(serviceOf(rpc.service));
    const attacker = await new Attacker(rpc).begin();
    const bases = fixture.good[method] ?? [{}];
    for (const place of placesIn(rpc.fields)) {
      for (const value of valuesFor(place.field, stringsFor(rpc, place))) {
        const request = withValue(baseFor(bases, place), place.path, value) as Message;
        const what = `${place.path.join('.')} = ${show(value)}`;
        const answer = await attacker.send(what, request, async () => client[method]?.(request) ?? {});
        const wrong = blame(place, value, rpc, answer);
        if (wrong !== undefined) attacker.complain(what, answer, wrong);
      }
    }
    await attacker.expectNothingWrong();
  });

  test.each(named)('%s: random requests', async (method, rpc) => {
    using client = fixture.client(serviceOf(rpc.service));
    const random = new Random(SEED);
    const attacker = await new Attacker(rpc).begin();
    const bases = fixture.good[method] ?? [{}];
    for (let i = 0; i < RANDOM_REQUESTS; i++) {
      const request = randomRequest(random, rpc.fields, bases[random.below(bases.length)], strings);
      await attacker.send(`random ${i}: ${show(request)}`, request, async () => client[method]?.(request) ?? {});
    }
    await attacker.expectNothingWrong();
  });

  test.each(named)('%s: bytes', async (method, rpc) => {
    const service = serviceOf(rpc.service);
    const { requestSerialize } = service[method] ?? {};
    if (!requestSerialize) throw new Error(`there is no ${method}`);
    // Without secrets: bent, they might be in a field that is none.
    const good = requestSerialize({ ...fixture.good[method]?.[0], secrets: {} } as never);
    using client = fixture.client({ ...service, [method]: { ...service[method], requestSerialize: asIs } } as never);
    const attacker = await new Attacker(rpc).begin();
    for (const [what, bytes] of rawRequests(new Random(SEED), good)) {
      const call = client[method] as unknown as (request: Buffer) => Promise<Message>;
      await attacker.send(what, {}, async () => call(bytes));
    }
    await attacker.expectNothingWrong();
  });
});

test('what a mount is asked for, with a volume that is really mounted by it', async () => {
  const rpc = RPCS.find(({ method }) => method === 'NodeStageVolume') as Rpc;
  const fresh = await fixture.freshMount();
  const places = placesIn(rpc.fields).filter(({ path: steps }) => steps.includes('mount') && steps.length === 3);
  expect(places.map(({ field }) => field.name)).toEqual(['fs_type', 'mount_flags', 'volume_mount_group']);
  using client = fixture.client(serviceOf(rpc.service));
  const attacker = await new Attacker(rpc).begin();
  for (const { path: steps, field } of places) {
    for (const text of strings) {
      const request = withValue(fresh, steps, field.repeated ? [text] : text) as Message;
      await attacker.send(`${field.name} = ${show(text)}`, request, async () => client[rpc.method]?.(request) ?? {});
    }
  }
  await attacker.expectNothingWrong();
});

test('the driver lives, serves, and has kept every secret', async () => {
  expect(world.serve.pid).toBe(pid);
  expect((await world.csi.identity.Probe({})).ready?.value).toBe(true);
  const log = await world.serve.log();
  expect(log.includes(SECRET)).toBe(false);
  expect(log.match(/"level":"error"[^\n]*/g)?.slice(0, 5) ?? []).toEqual([]);
});

/** Folders go there first, and then bit by bit. */
async function emptied(folder: string): Promise<void> {
  while (readdirSync(folder).length > 0) await sleep(2);
}

function asIs(bytes: Buffer): Buffer {
  return bytes;
}
