import type { OpenLayer } from '../../../../src/fence/layer.ts';

/** A layer in memory. @param thaws what comes of each try to let it go: true when it worked; it works from then on */
export class Layer implements OpenLayer {
  stopped = false;
  closed = false;
  /** A thaw waits for it. */
  thawing: Promise<void> = Promise.resolve();
  readonly #thaws: boolean[];

  constructor(thaws: readonly boolean[] = []) {
    this.#thaws = [...thaws];
  }

  async writeBack(): Promise<void> {}

  async stop(): Promise<void> {
    this.stopped = true;
  }

  async letGo(): Promise<boolean> {
    if (this.#thaws.shift() === false) throw new Error('can not be thawed');
    await this.thawing;
    if (this.closed) throw new Error('EBADF');
    const held = this.stopped;
    this.stopped = false;
    return held;
  }

  async close(): Promise<void> {
    this.closed = true;
  }
}
