/** csi-sanity on LVM, where there is device-mapper: `lvm-thin.ts mount|block`. The last line is the tally. */
import { GROUP } from '../vm/ground.ts';
import { runSanity } from './sanity.ts';

const accessType = process.argv[2] === 'block' ? 'block' : 'mount';
const flags = ['--backend', 'lvm-thin', '--volume-group', GROUP, '--thin-pool', `sanity-${accessType}`];
const tally = await runSanity(
  // csi-sanity asks for volumes of some GiB, and writes next to nothing.
  { accessType, health: false, driver: { poolSize: '4GiB', flags: [...flags, '--overcommit-ratio', '1000'] } },
  new AbortController().signal,
);
console.log(`\n${JSON.stringify(tally)}`);
