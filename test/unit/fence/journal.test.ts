import { readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import { FreezeJournal, type JournalEntry } from '../../../src/fence/journal.ts';
import { recoverFrozen } from '../../../src/fence/recovery.ts';
import { shareLock } from '../../../src/host/file-lock.ts';
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

test('recovery waits for a guard that may still freeze what is listed, and forgets nothing when it is cut short', async () => {
  await using folder = await temporaryFolder();
  const journal = new FreezeJournal(path.join(folder.path, 'journal'));
  const guardLock = path.join(folder.path, 'guard.lock');
  await journal.write({ ...ENTRY, guardLock });
  await using guard = new AsyncDisposableStack();
  guard.use(await shareLock(guardLock));
  const stop = new AbortController();
  const cutShort = recoverFrozen(journal, { signal: stop.signal, waits: () => stop.abort() });
  await expect(cutShort).rejects.toMatchObject({ code: 'unavailable', message: expect.stringContaining('guard') });
  expect(await journal.list()).toHaveLength(1);

  const waits = Promise.withResolvers<void>();
  let recovered = false;
  const recovery = recoverFrozen(journal, { waits: waits.resolve }).then(() => {
    recovered = true;
  });
  await waits.promise;
  await sleep(1000);
  expect(recovered).toBe(false);
  expect(await journal.list()).toHaveLength(1);
  await guard.disposeAsync();
  await recovery;
  expect(await journal.list()).toEqual([]);
});

test('a lock that nobody has is waited for by nobody', async () => {
  await using folder = await temporaryFolder();
  const journal = new FreezeJournal(path.join(folder.path, 'journal'));
  const guardLock = path.join(folder.path, 'guard.lock');
  const waits = () => {
    throw new Error('waits');
  };
  for (const isThere of [false, true]) {
    if (isThere) await (await shareLock(guardLock))[Symbol.asyncDispose]();
    await journal.write({ ...ENTRY, guardLock });
    expect(await recoverFrozen(journal, { waits })).toEqual([]);
  }
});
