/** Writes down what clients asked and were answered, and says afterwards what was wrong with it. */
import { DriverError, messageOf } from '../../../src/core/errors.ts';
import { type Operation, unexplained } from '../../support/history.ts';
import type { SnapshotState, VolumeState } from './states.ts';

export type Effect<S> = Operation<S>['effect'];

/** What an answer says about the things that it is about. */
export type Findings = readonly Finding[];
type Finding =
  | { readonly kind: 'volume'; readonly name: string; readonly effect: Effect<VolumeState> }
  | { readonly kind: 'snapshot' | 'group'; readonly name: string; readonly effect: Effect<SnapshotState> };

export const onVolume = (name: string, effect: Effect<VolumeState>): Finding => ({ kind: 'volume', name, effect });
export const onSnapshot = (name: string, effect: Effect<SnapshotState>): Finding => ({
  kind: 'snapshot',
  name,
  effect,
});
export const onGroup = (name: string, effect: Effect<SnapshotState>): Finding => ({ kind: 'group', name, effect });

export interface Call<T> {
  readonly what: string;
  /** Things that the call holds: who holds the same at the same time may get ABORTED. */
  readonly holds: readonly string[];
  readonly ask: () => Promise<T>;
  readonly ok: (answer: T) => Findings;
  /** What each code says; a code that is not here must not come. */
  readonly codes?: Readonly<Record<string, (message: string) => Findings>>;
  /** What may have happened when the answer is lost. */
  readonly lost: Findings;
}

interface Span {
  readonly what: string;
  readonly holds: readonly string[];
  readonly called: number;
  readonly answered: number;
}

export class Recorder {
  readonly wrong: string[] = [];
  readonly tally = new Map<string, number>();
  readonly #volumes = new Map<string, Operation<VolumeState>[]>();
  readonly #snapshots = new Map<string, Operation<SnapshotState>[]>();
  readonly #spans: Span[] = [];
  readonly #aborted: (Span & { readonly message: string })[] = [];
  #lost: { readonly what: string; readonly called: number; readonly findings: Findings }[] = [];
  #moment = 0;
  /** The driver is being killed: what fails now is lost. */
  dying = false;

  /** @returns the code of the answer */
  async perform<T>(call: Call<T>): Promise<string> {
    const called = ++this.#moment;
    let answer: T;
    try {
      answer = await call.ask();
    } catch (error) {
      return this.#failed(call, called, error);
    }
    const what = `${call.what}: ok`;
    this.#note(call, { what, called, answered: ++this.#moment }, () => call.ok(answer));
    return 'ok';
  }

  /** What was lost has happened by now, or never will. */
  settleLost(): void {
    const answered = ++this.#moment;
    for (const { what, called, findings } of this.#lost) this.#add(what, called, answered, findings, true);
    this.#lost = [];
  }

  /** Everything that is wrong, in words. */
  complaints(): readonly string[] {
    const histories = [...this.#volumes.entries(), ...this.#snapshots.entries()] as [string, Operation<unknown>[]][];
    const unexplainable = histories.flatMap(([name, operations]) => {
      const violation = unexplained<unknown>(null, operations);
      return violation === undefined ? [] : [`${name}: ${violation}`];
    });
    return [...this.wrong, ...this.#abortedAlone(), ...unexplainable];
  }

  summary(): string {
    return [...this.tally]
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([what, count]) => `${what} ${count}`)
      .join(', ');
  }

  #failed<T>(call: Call<T>, called: number, error: unknown): string {
    const answered = ++this.#moment;
    const code = error instanceof DriverError ? error.code : 'no code';
    const message = messageOf(error);
    if (this.dying) {
      this.#count(`${call.what.split(' ')[0]} lost`);
      this.#spans.push({ what: `${call.what}: lost`, holds: call.holds, called, answered });
      this.#lost.push({ what: call.what, called, findings: call.lost });
      return code;
    }
    const what = `${call.what}: ${code}: ${message}`;
    if (code === 'aborted') {
      this.#count(`${call.what.split(' ')[0]} aborted`);
      // A lease that ran out is nobody's conflict: the machine is slow.
      if (!message.includes('lease')) this.#aborted.push({ what, message, holds: call.holds, called, answered });
      return code;
    }
    const findings = call.codes?.[code];
    if (!findings) this.wrong.push(`must not be: ${what}`);
    this.#note(call, { what, called, answered }, () => findings?.(message) ?? []);
    return code;
  }

  #note<T>(call: Call<T>, { what, called, answered }: Omit<Span, 'holds'>, findings: () => Findings): void {
    this.#count(what.replace(/^([\w-]+).*?: ([a-z-]+).*$/s, '$1 $2'));
    this.#spans.push({ what, holds: call.holds, called, answered });
    this.#add(what, called, answered, findings());
  }

  #add(what: string, called: number, answered: number, findings: Findings, lost?: true): void {
    for (const finding of findings) {
      const base = { what, called, answered, ...(lost && { lost }) };
      if (finding.kind === 'volume') push(this.#volumes, finding.name, { ...base, effect: finding.effect });
      else push(this.#snapshots, `${finding.kind} ${finding.name}`, { ...base, effect: finding.effect });
    }
  }

  #count(what: string): void {
    this.tally.set(what, (this.tally.get(what) ?? 0) + 1);
  }

  /** ABORTED is for conflicts: somebody else must have held the same at the same time. */
  #abortedAlone(): readonly string[] {
    const others = [...this.#spans, ...this.#aborted];
    return this.#aborted
      .filter(
        (aborted) =>
          !others.some(
            (other) =>
              other !== aborted &&
              other.called < aborted.answered &&
              other.answered > aborted.called &&
              other.holds.some((key) => aborted.holds.includes(key)),
          ),
      )
      .map(({ what }) => `nobody was in the way: ${what}`);
  }
}

function push<S>(map: Map<string, Operation<S>[]>, name: string, operation: Operation<S>): void {
  const list = map.get(name) ?? [];
  list.push(operation);
  map.set(name, list);
}
