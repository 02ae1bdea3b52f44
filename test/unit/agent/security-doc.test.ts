/** docs/security.md says how certificates are made: those that come of it are good. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from '@jest/globals';
import { openLinkSecurity } from '../../../src/agent/link-security.ts';
import { RemoteAgent } from '../../../src/agent/remote-agent.ts';
import { ROOT } from '../../support/command.ts';
import { noSignal } from '../support/fake-agent.ts';
import { MemoryLogger, temporaryFolder } from '../support/rpc.ts';
import { linkParts, serveOne } from './support/link.ts';
import { LIMITS, scripted } from './support/scripted-agent.ts';

test('what is made as it says gets in, and each only in its place', async () => {
  const [, script = ''] = /```sh\n(.*?)```/s.exec(readFileSync(path.join(ROOT, 'docs/security.md'), 'utf8')) ?? [];
  await using folder = await temporaryFolder();
  execFileSync('sh', ['-euc', script], { cwd: folder.path, stdio: 'pipe' });
  const files = (name: string) => ({
    ca: path.join(folder.path, 'ca.crt'),
    cert: path.join(folder.path, `${name}.crt`),
    key: path.join(folder.path, `${name}.key`),
    insecure: false,
  });
  using ofNode = await openLinkSecurity(files('node-a'), new MemoryLogger());
  using ofController = await openLinkSecurity(files('controller'), new MemoryLogger());
  const { server, address } = await serveOne(scripted('node-a', {}), ofNode);
  await using _server = server;
  using remote = new RemoteAgent({ node: 'node-a', address }, linkParts(ofController));
  expect(await remote.limits(noSignal)).toEqual(LIMITS);
  using thief = new RemoteAgent({ node: 'node-a', address }, linkParts(ofNode));
  await expect(thief.limits(noSignal)).rejects.toMatchObject({ code: 'permission-denied' });
  using astray = new RemoteAgent({ node: 'node-b', address }, linkParts(ofController));
  await expect(astray.limits(noSignal)).rejects.toMatchObject({ code: 'unavailable' });
});
