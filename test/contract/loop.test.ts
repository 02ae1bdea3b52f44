import { LoopBackend } from '../../src/backends/loop/backend.ts';
import { GiB } from '../../src/core/bytes.ts';
import { systemClock } from '../../src/core/clock.ts';
import { LogLines } from '../support/rig.ts';
import { Scratch } from '../support/scratch.ts';
import { backendContract } from './backend.ts';
import { NODE } from './contract.ts';

backendContract('loop', async ({ sizeBytes = 2n * GiB, overcommitRatio = 100, reservePercent = 0 } = {}) => {
  const scratch = await Scratch.open();
  const options = { dataDir: scratch.path('data'), poolBytes: sizeBytes, node: NODE, overcommitRatio, reservePercent };
  const log = new LogLines();
  return {
    log,
    open: () => LoopBackend.open(options, systemClock, log),
    [Symbol.asyncDispose]: () => scratch[Symbol.asyncDispose](),
  };
});
