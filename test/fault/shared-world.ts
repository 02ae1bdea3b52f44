import { prepareScenario, type Reference, type Scenario } from './crash/scenario.ts';
import { World, type WorldOptions } from './world.ts';

/**
 * One world for the tests of a file, since making one takes seconds. A test that fails may leave it in any state: it is
 * thrown away then, and the next test gets another.
 */
export class SharedWorld implements AsyncDisposable {
  readonly #options: WorldOptions;
  #world: World | undefined;
  #scenario: { readonly scenario: Scenario; readonly reference: Reference } | undefined;

  constructor(options: WorldOptions = {}) {
    this.#options = options;
  }

  async use<T>(work: (world: World) => Promise<T>): Promise<T> {
    this.#world ??= await World.open(this.#options);
    try {
      return await work(this.#world);
    } catch (error) {
      const log = (await this.#world.serve.log()).slice(-6000);
      await this[Symbol.asyncDispose]();
      throw new Error(`the driver's log ends with:\n${log}`, { cause: error });
    }
  }

  /** With the scenario prepared, and run once without a fault. */
  async play(scenario: Scenario, work: (world: World, reference: Reference) => Promise<void>): Promise<void> {
    await this.use(async (world) => {
      if (this.#scenario?.scenario !== scenario) {
        await this.#cleanUp(world);
        this.#scenario = { scenario, reference: await prepareScenario(world, scenario) };
      }
      await work(world, this.#scenario.reference);
    });
  }

  /** The last test: everything goes, and nothing is left. */
  async close(): Promise<void> {
    await this.use(async (world) => {
      await this.#cleanUp(world);
      await world.close();
    });
    await this[Symbol.asyncDispose]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const world = this.#world;
    this.#world = undefined;
    this.#scenario = undefined;
    await world?.[Symbol.asyncDispose]();
  }

  async #cleanUp(world: World): Promise<void> {
    const last = this.#scenario?.scenario;
    this.#scenario = undefined;
    await last?.cleanUp?.(world);
  }
}
