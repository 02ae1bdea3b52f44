/** Runs where there is device-mapper: see test/vm/lvm.ts. */
import { LvmThinBackend } from '../../src/backends/lvm-thin/backend.ts';
import { GiB } from '../../src/core/bytes.ts';
import { systemClock } from '../../src/core/clock.ts';
import { DeviceMapper, listMapped } from '../../src/host/device-mapper.ts';
import { lvm } from '../support/lvm.ts';
import { LogLines } from '../support/rig.ts';
import { Scratch } from '../support/scratch.ts';
import { GROUP } from '../vm/ground.ts';
import { backendContract } from './backend.ts';
import { NODE } from './contract.ts';

let pools = 0;

backendContract('lvm-thin', async ({ sizeBytes = 2n * GiB, overcommitRatio = 100, reservePercent = 0 } = {}) => {
  const scratch = await Scratch.open();
  const opened: LvmThinBackend[] = [];
  const thinPool = `pool${++pools}`;
  const options = {
    dataDir: scratch.path('data'),
    volumeGroup: GROUP,
    thinPool,
    poolBytes: sizeBytes,
    node: NODE,
    overcommitRatio,
    reservePercent,
  };
  const log = new LogLines();
  return {
    log,
    open: async () => {
      const backend = await LvmThinBackend.open(options, systemClock, log);
      opened.push(backend);
      return backend;
    },
    [Symbol.asyncDispose]: async () => {
      await using mapper = await DeviceMapper.open();
      for (const { name } of await listMapped()) {
        if (name.startsWith(`cofferdam-${GROUP}-`)) await mapper.remove(name);
      }
      for (const backend of opened) await backend[Symbol.asyncDispose]();
      lvm(scratch.path('data'), 'lvremove', '-y', '-ff', `${GROUP}/${thinPool}`);
      await scratch[Symbol.asyncDispose]();
    },
  };
});
