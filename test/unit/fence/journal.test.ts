import { readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, test } from '@jest/globals';
import { FreezeJournal, type JournalEntry } from '../../../src/fence/journal.ts';
import { recoverFrozen } from '../../../src/fence/recovery.ts';
import { temporaryFolder } from '../support/rpc.ts';

// A device that there is not, so that recovery has nothing to touch.
const ENTRY: JournalEntry = {
  token: '0123456789abcdef',
  members: [[{ kind: 'filesystem', mountPoint: '/nowhere', devNumber: '7:99999' }]],
};

test('lists what was written, also for another process, until it is removed', async () => {
  await using folder = await temporaryFolder();
  const journal = new FreezeJournal(path.join(folder.path, 'journal'));
  expect(await journal.list()).toEqual([]);
  await journal.write(ENTRY);
  await journal.write({ ...ENTRY, token: 'fedcba9876543210', rcuExpedited: 0 });
  const listed = await new FreezeJournal(path.join(folder.path, 'journal')).list();
  expect(listed).toHaveLength(2);
  expect(listed).toContainEqual(expect.objectContaining(ENTRY));
  await journal.remove(ENTRY.token);
  await journal.remove(ENTRY.token);
  expect((await journal.list()).map(({ token }) => token)).toEqual(['fedcba9876543210']);
});

test('what was left half written means nothing: it was not frozen yet', async () => {
  await using folder = await temporaryFolder();
  await writeFile(path.join(folder.path, '.0123456789abcdef.json.abcdef.tmp'), '{"format":1,"tok');
  expect(await new FreezeJournal(folder.path).list()).toEqual([]);
});

test.each(['', '{', 'null', '[]', '{"format":1,"token":"a","members":[]}', '{"format":2,"token":"a"}'])(
  'an entry of %j is reported by name, and never passed over: something may be frozen',
  async (text) => {
    await using folder = await temporaryFolder();
    const file = path.join(folder.path, '0123456789abcdef.json');
    await writeFile(file, text);
    const journal = new FreezeJournal(folder.path);
    const failure = { code: 'data-loss', message: expect.stringContaining(file) };
    await expect(journal.list()).rejects.toMatchObject(failure);
    await expect(recoverFrozen(journal)).rejects.toMatchObject(failure);
    expect(await readdir(folder.path)).toHaveLength(1);
  },
);

test('recovery of filesystems that are no longer mounted finds nothing, and empties the journal', async () => {
  await using folder = await temporaryFolder();
  const journal = new FreezeJournal(folder.path);
  await journal.write(ENTRY);
  expect(await recoverFrozen(journal)).toEqual([]);
  expect(await journal.list()).toEqual([]);
});

test('an entry from before the machine was last started is of no concern: no freeze outlives that', async () => {
  await using folder = await temporaryFolder();
  const journal = new FreezeJournal(folder.path);
  await journal.write({ ...ENTRY, rcuExpedited: 0 });
  const file = path.join(folder.path, `${ENTRY.token}.json`);
  await writeFile(file, (await readFile(file, 'utf8')).replace(/"bootId":"[^"]+"/, '"bootId":"another"'));
  expect(await journal.list()).toEqual([]);
  expect(await recoverFrozen(journal)).toEqual([]);
  expect(await readdir(folder.path)).toEqual([]);
});
