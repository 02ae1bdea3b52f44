/** Who gets in, who is believed, and that new certificates come into use without anybody noticing. */
import { readFileSync, writeFileSync } from 'node:fs';
import { createSecureServer } from 'node:http2';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ConnectionOptions, connect as tlsConnect } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { admitControllers } from '../../../src/agent/link-identity.ts';
import { type LinkSecurity, openLinkSecurity } from '../../../src/agent/link-security.ts';
import { RemoteAgent } from '../../../src/agent/remote-agent.ts';
import type { NodeAgent } from '../../../src/core/node-agent.ts';
import type { CallContext } from '../../../src/rpc/types.ts';
import { CertificateAuthority, type CertificateFiles, MountedSecret } from '../../support/certificates.ts';
import { noSignal } from '../support/fake-agent.ts';
import { MemoryLogger, temporaryFolder } from '../support/rpc.ts';
import { insecure, linkParts, portOf, serveOne } from './support/link.ts';
import { NODE, V1, volume } from './support/samples.ts';
import { scripted } from './support/scripted-agent.ts';
import { SilentProxy } from './support/silent-proxy.ts';

const CONTROLLER = 'cofferdam://controller';
const AGENT = `cofferdam://node/${NODE}`;
const LOOK_MS = 20;

const agent = scripted(NODE, { getVolume: async () => volume(), listVolumes: async () => ({ items: [volume()] }) });

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let ca: CertificateAuthority;
let otherCa: CertificateAuthority;

beforeAll(async () => {
  folder = await temporaryFolder();
  ca = new CertificateAuthority(path.join(folder.path, 'ca'));
  otherCa = new CertificateAuthority(path.join(folder.path, 'other-ca'));
});
afterAll(async () => await folder[Symbol.asyncDispose]());

function open(files: CertificateFiles, logger = new MemoryLogger()): Promise<LinkSecurity> {
  return openLinkSecurity({ ...files, insecure: false, lookMs: LOOK_MS }, logger);
}

/** What a call comes to with these certificates on the two sides. */
async function call(ofAgent: LinkSecurity, ofController: LinkSecurity, served: NodeAgent = agent): Promise<unknown> {
  const { server, address } = await serveOne(served, ofAgent);
  await using _server = server;
  using remote = new RemoteAgent({ node: NODE, address }, linkParts(ofController));
  const [one, list] = await Promise.allSettled([remote.getVolume(V1, noSignal), remote.listVolumes({}, noSignal)]);
  expect(one.status).toBe(list.status);
  if (one.status === 'rejected') throw one.reason;
  return one.value;
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(5);
}

test.each([
  ['one role each', [AGENT], [CONTROLLER]],
  ['both roles in one', [CONTROLLER, AGENT], [`cofferdam://node/x`, CONTROLLER]],
  ['among other names', ['spiffe://a/b', AGENT], ['https://example.org/', CONTROLLER]],
])('certificates that fit: %s', async (_name, agentUris, controllerUris) => {
  using ofAgent = await open(ca.issue({ uris: agentUris }));
  using ofController = await open(ca.issue({ uris: controllerUris }));
  expect(await call(ofAgent, ofController)).toEqual(volume());
});

describe('a controller is refused', () => {
  test.each([
    ['for a node', [AGENT], 'permission-denied', /is for cofferdam:\/\/node\/node-b.example, not for/],
    ['for something like a controller', [`${CONTROLLER}/x`, 'cofferdam://CONTROLLER'], 'permission-denied', /not for/],
    ['for nobody', [], 'unauthenticated', /names nobody/],
    ['for somebody of another world', ['spiffe://controller'], 'unauthenticated', /names nobody/],
  ])('with a certificate %s', async (_name, uris, code, message) => {
    using ofAgent = await open(ca.issue({ uris: [AGENT] }));
    using ofController = await open(ca.issue({ uris }));
    const failure = { code, message: expect.stringMatching(message) };
    await expect(call(ofAgent, ofController)).rejects.toMatchObject(failure);
  });

  test.each([
    ['of another CA', () => ({ ...otherCa.issue({ uris: [CONTROLLER] }), ca: ca.cert })],
    ['that has expired', () => ca.issue({ uris: [CONTROLLER], lasts: -3600 })],
  ])('with a certificate %s', async (_name, files) => {
    using ofAgent = await open(ca.issue({ uris: [AGENT] }));
    using ofController = await open(files());
    await expect(call(ofAgent, ofController)).rejects.toMatchObject({ code: 'unavailable' });
  });

  test('without TLS', async () => {
    using ofAgent = await open(ca.issue({ uris: [AGENT] }));
    using ofController = await insecure();
    await expect(call(ofAgent, ofController)).rejects.toMatchObject({ code: 'unavailable' });
  });

  test('whose certificate expired while it was connected', async () => {
    const context = (validTo: number) => ({ peer: { uris: [CONTROLLER], validTo } }) as unknown as CallContext;
    const next = async () => 'in';
    expect(await admitControllers(context(Date.now() + 60_000), {}, next)).toBe('in');
    await expect(admitControllers(context(Date.now() - 1), {}, next)).rejects.toMatchObject({
      code: 'unauthenticated',
    });
    await expect(admitControllers(context(Number.NaN), {}, next)).rejects.toMatchObject({ code: 'unauthenticated' });
  });
});

describe('an agent is not believed', () => {
  test.each([
    [
      'for another node',
      () => ca.issue({ uris: ['cofferdam://node/node-x'] }),
      /is for cofferdam:\/\/node\/node-x, not/,
    ],
    ['for a controller', () => ca.issue({ uris: [CONTROLLER] }), /is for cofferdam:\/\/controller, not for/],
    ['for nobody', () => ca.issue({ uris: [] }), /for nobody that is known here/],
    ['of another CA', () => otherCa.issue({ uris: [AGENT] }), /certificate/],
    ['that has expired', () => ca.issue({ uris: [AGENT], lasts: -3600 }), /expired/],
  ])('with a certificate %s', async (_name, files, message) => {
    using ofAgent = await open({ ...files(), ca: ca.cert });
    using ofController = await open(ca.issue({ uris: [CONTROLLER] }));
    const failure = { code: 'unavailable', message: expect.stringMatching(message) };
    await expect(call(ofAgent, ofController)).rejects.toMatchObject(failure);
  });

  test('without TLS', async () => {
    using ofAgent = await insecure();
    using ofController = await open(ca.issue({ uris: [CONTROLLER] }));
    await expect(call(ofAgent, ofController)).rejects.toMatchObject({ code: 'unavailable' });
  });
});

/** The protocol that was agreed on, when the server still has not hung up after the handshake. */
async function shakeHands(port: number, options: ConnectionOptions): Promise<string> {
  return await new Promise((resolve, reject) => {
    const socket = tlsConnect({
      host: '127.0.0.1',
      port,
      ALPNProtocols: ['h2'],
      rejectUnauthorized: false,
      ...options,
    });
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('closed')));
    // A server of TLS 1.3 refuses a client's certificate only after the client is done; its settings come after that.
    socket.once('data', () => {
      resolve(socket.getProtocol() ?? '');
      socket.destroy();
    });
  });
}

function pem({ ca: caFile, cert, key }: CertificateFiles) {
  return { ca: readFileSync(caFile), cert: readFileSync(cert), key: readFileSync(key) };
}

describe('TLS 1.3 with a certificate, or nothing', () => {
  test('an agent refuses anything else, also after its certificates have changed', async () => {
    const secret = new MountedSecret(path.join(folder.path, 'versions'), ca.issue({ uris: [AGENT] }));
    using security = await open(secret.files);
    const { server } = await serveOne(agent, security);
    await using _server = server;
    const port = portOf(server);
    const client = pem(ca.issue({ uris: [CONTROLLER] }));
    for (const round of ['first', 'second']) {
      expect(await shakeHands(port, client)).toBe('TLSv1.3');
      await expect(shakeHands(port, { ...client, maxVersion: 'TLSv1.2' })).rejects.toThrow(/alert protocol version/);
      await expect(shakeHands(port, {})).rejects.toThrow(/alert certificate required/);
      if (round === 'second') break;
      const before = security.identity?.value;
      secret.update(ca.issue({ uris: [AGENT] }));
      await until(() => security.identity?.value !== before);
    }
  });

  test('a controller refuses an agent that speaks an older one', async () => {
    const old = createSecureServer({ ...pem(ca.issue({ uris: [AGENT] })), maxVersion: 'TLSv1.2' });
    const port = await new Promise<number>((resolve) => {
      old.listen(0, '127.0.0.1', () => resolve((old.address() as { port: number }).port));
    });
    using ofController = await open(ca.issue({ uris: [CONTROLLER] }));
    using remote = new RemoteAgent({ node: NODE, address: `127.0.0.1:${port}` }, linkParts(ofController));
    await expect(remote.capacity(noSignal)).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringMatching(/protocol version/),
    });
    old.close();
  });
});

describe('new certificates', () => {
  /** Both sides on Secrets that can be changed, a proxy that counts connections, and a call that ends when told. */
  async function setUp(name: string) {
    await using resources = new AsyncDisposableStack();
    const place = (side: string) => path.join(folder.path, `${name}-${side}`);
    const ofAgent = new MountedSecret(place('agent'), ca.issue({ uris: [AGENT] }));
    const ofController = new MountedSecret(place('controller'), ca.issue({ uris: [CONTROLLER] }));
    const logger = new MemoryLogger();
    const agentSide = resources.use(await open(ofAgent.files));
    const controllerSide = resources.use(await open(ofController.files, logger));
    const [called, end] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const slow = {
      ...agent,
      deleteVolume: async () => {
        called.resolve();
        await end.promise;
      },
    };
    const { server } = await serveOne(slow, agentSide, { drainMs: 60_000 });
    resources.use(server);
    const proxy = resources.use(await SilentProxy.to(portOf(server)));
    const remote = resources.use(new RemoteAgent({ node: NODE, address: proxy.address }, linkParts(controllerSide)));
    const owned = resources.move();
    return {
      ...{
        ofAgent,
        ofController,
        logger,
        agentSide,
        controllerSide,
        proxy,
        remote,
        called: called.promise,
        end: end.resolve,
      },
      [Symbol.asyncDispose]: () => owned.disposeAsync(),
    };
  }

  async function taken({ identity }: LinkSecurity, update: () => void): Promise<void> {
    const before = identity?.value;
    update();
    await until(() => identity?.value !== before);
  }

  test('a call under way is not disturbed, and later ones are made with them', async () => {
    await using link = await setUp('calls');
    const call = link.remote.deleteVolume(V1, noSignal);
    await link.called;
    const both = path.join(folder.path, 'both.crt');
    writeFileSync(both, readFileSync(ca.cert, 'utf8') + readFileSync(otherCa.cert, 'utf8'));
    // As it is done without a gap: first everybody believes both, then the new ones are issued, then the old CA goes.
    await taken(link.agentSide, () => link.ofAgent.update({ ...ca.issue({ uris: [AGENT] }), ca: both }));
    await taken(link.controllerSide, () => link.ofController.update(otherCa.issue({ uris: [CONTROLLER] })));
    // The agent has one of the old CA, which the controller does not believe any more: what stands is used.
    for (let i = 0; i < 20; i++) expect(await link.remote.getVolume(V1, noSignal)).toEqual(volume());
    await taken(link.agentSide, () => link.ofAgent.update(otherCa.issue({ uris: [AGENT] })));
    while (link.proxy.open < 2) expect(await link.remote.getVolume(V1, noSignal)).toEqual(volume());
    link.end();
    await call;
    // The old connection has gone with its last call.
    await until(() => link.proxy.open === 1);
    expect(await link.remote.getVolume(V1, noSignal)).toEqual(volume());
  });

  test('that do not belong together are not taken, once they are mended they are', async () => {
    await using link = await setUp('broken');
    expect(await link.remote.getVolume(V1, noSignal)).toEqual(volume());
    const { cert, ca: caFile } = ca.issue({ uris: [CONTROLLER] });
    const { key } = ca.issue({ uris: [CONTROLLER] });
    const before = link.controllerSide.identity?.value;
    link.ofController.update({ ca: caFile, cert, key });
    await until(() => link.logger.lines.some(({ level }) => level === 'warn'));
    await sleep(5 * LOOK_MS);
    expect(link.controllerSide.identity?.value).toBe(before);
    expect(link.logger.lines.filter(({ level }) => level === 'warn')).toHaveLength(1);
    expect(await link.remote.getVolume(V1, noSignal)).toEqual(volume());
    await taken(link.controllerSide, () => link.ofController.update(ca.issue({ uris: [CONTROLLER] })));
    expect(await link.remote.getVolume(V1, noSignal)).toEqual(volume());
  });
});

describe('what a link is opened with', () => {
  const refused = (options: object) => openLinkSecurity({ insecure: false, ...options }, new MemoryLogger());

  test('all three files, or insecure in so many words', async () => {
    const { ca: caFile, cert, key } = ca.issue({ uris: [AGENT] });
    const argument = { code: 'invalid-argument' };
    await expect(refused({})).rejects.toMatchObject(argument);
    await expect(refused({ ca: caFile, cert })).rejects.toMatchObject(argument);
    await expect(refused({ cert, key })).rejects.toMatchObject(argument);
    await expect(refused({ key, insecure: true })).rejects.toMatchObject(argument);
    const logger = new MemoryLogger();
    using security = await openLinkSecurity({ insecure: true }, logger);
    expect(security.identity).toBeUndefined();
    expect(logger.lines).toMatchObject([{ level: 'warn', message: expect.stringContaining('no protection') }]);
  });

  test('files that can be read and belong together', async () => {
    const good = ca.issue({ uris: [AGENT] });
    const empty = path.join(folder.path, 'empty');
    writeFileSync(empty, '');
    for (const change of [
      { ca: empty },
      { cert: '/nowhere/tls.crt' },
      { key: ca.issue({ uris: [] }).key },
      { cert: good.key },
    ]) {
      await expect(refused({ ...good, ...change })).rejects.toMatchObject({
        code: 'failed-precondition',
        message: expect.stringContaining('the certificates'),
      });
    }
  });
});
