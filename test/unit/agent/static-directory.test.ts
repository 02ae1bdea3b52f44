import { rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from '@jest/globals';
import { RemoteAgents } from '../../../src/agent/remote-agents.ts';
import { openStaticDirectory, parseNodes } from '../../../src/agent/static-directory.ts';
import { noSignal } from '../support/fake-agent.ts';
import { MemoryLogger, temporaryFolder } from '../support/rpc.ts';
import { insecure, linkParts, portOf, serveOne } from './support/link.ts';
import { NODE, V1, volume } from './support/samples.ts';
import { held, scripted } from './support/scripted-agent.ts';
import { SilentProxy } from './support/silent-proxy.ts';

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(5);
}

describe('a list of nodes', () => {
  test('says where they are', () => {
    const list = 'a=10.0.0.1:9810, b.example=host.example:1,c=[fe80::1]:65535';
    expect([...parseNodes('--nodes', list.split(','))]).toEqual([
      ['a', '10.0.0.1:9810'],
      ['b.example', 'host.example:1'],
      ['c', '[fe80::1]:65535'],
    ]);
  });

  test.each([
    ['', /^--nodes: "" is not name=host:port/],
    ['a', /"a" is not name=host:port/],
    ['a=', /"a=" is not/],
    ['a=host', /not unix:.*or tcp:/],
    ['a=host:0', /host:0 has no port/],
    ['a=host:65536', /port 65536/],
    ['a=unix:///x', /"tcp:\/\/unix:\/\/\/x" is not/],
    ['A=host:1', /"A" is no name of a node/],
    ['../a=host:1', /is no name of a node/],
    [`${'n'.repeat(64)}=host:1`, /is no name of a node/],
    ['a=host:1,b=host:2,a=host:3', /node a is there twice/],
    ['a=host:1,', /"" is not name=host:port/],
  ])('%j is refused, and it says why', async (text, message) => {
    using security = await insecure();
    const opened = openStaticDirectory(
      { kind: 'list', text, field: '--nodes' },
      linkParts(security),
      new MemoryLogger(),
    );
    await expect(opened).rejects.toMatchObject({ code: 'invalid-argument', message: expect.stringMatching(message) });
  });

  test('is a directory', async () => {
    using security = await insecure();
    const source = { kind: 'list', text: 'a=127.0.0.1:1,b=127.0.0.1:2', field: '--nodes' } as const;
    using directory = await openStaticDirectory(source, linkParts(security), new MemoryLogger());
    expect(directory.nodes()).toEqual(['a', 'b']);
    expect(directory.agent('a').node).toBe('a');
    expect(directory.agent('a')).toBe(directory.agent('a'));
    expect(() => directory.agent('c')).toThrow(expect.objectContaining({ code: 'unavailable' }));
  });
});

describe('a file of nodes', () => {
  async function setUp(content: string) {
    await using resources = new AsyncDisposableStack();
    const folder = resources.use(await temporaryFolder());
    const file = path.join(folder.path, 'nodes');
    await writeFile(file, content);
    const security = resources.use(await insecure());
    const logger = new MemoryLogger();
    const source = { kind: 'file', path: file, lookMs: 20 } as const;
    const directory = resources.use(await openStaticDirectory(source, linkParts(security), logger));
    const owned = resources.move();
    const write = async (text: string) => {
      await writeFile(`${file}.new`, text);
      await rename(`${file}.new`, file);
    };
    return { directory, logger, write, [Symbol.asyncDispose]: () => owned.disposeAsync() };
  }

  test('is read again when it changes; who stays keeps its agent', async () => {
    await using set = await setUp('# the rack\na=127.0.0.1:1\n\n  b=127.0.0.1:2 # below it\n');
    const { directory } = set;
    expect(directory.nodes()).toEqual(['a', 'b']);
    const [a, b] = [directory.agent('a'), directory.agent('b')];
    await set.write('c=127.0.0.1:3\na=127.0.0.1:1\nb=127.0.0.1:22');
    await until(() => directory.nodes().length === 3);
    expect(directory.nodes()).toEqual(['a', 'b', 'c']);
    expect(['a', 'c', 'd'].map((node) => directory.has(node))).toEqual([true, true, false]);
    expect(directory.agent('a')).toBe(a);
    expect(directory.agent('b')).not.toBe(b);
  });

  test.each(['', '# nobody\n', 'a=127.0.0.1:1\nb=nowhere\n', '\0\0\0'])(
    'that is of no use (%j) changes nothing, and is complained of once',
    async (content) => {
      await using set = await setUp('a=127.0.0.1:1\n');
      await set.write(content);
      await until(() => set.logger.lines.length > 0);
      await sleep(100);
      expect(set.directory.nodes()).toEqual(['a']);
      expect(set.logger.lines).toMatchObject([{ level: 'warn' }]);
      await set.write('b=127.0.0.1:1\n');
      await until(() => set.directory.nodes()[0] === 'b');
    },
  );

  test('must be good at the start', async () => {
    await expect(setUp('a=b\n')).rejects.toMatchObject({ code: 'failed-precondition' });
    using security = await insecure();
    const source = { kind: 'file', path: '/nowhere/nodes' } as const;
    await expect(openStaticDirectory(source, linkParts(security), new MemoryLogger())).rejects.toMatchObject({
      code: 'failed-precondition',
      message: expect.stringMatching(/the list of nodes can't be used: .*\/nowhere\/nodes/),
    });
  });
});

describe('agents elsewhere', () => {
  test('whose node went end their connection when their last call is over', async () => {
    const { agent, called, end } = held();
    using security = await insecure();
    const served = await serveOne(agent, security);
    await using _server = served.server;
    await using proxy = await SilentProxy.to(portOf(served.server));
    using agents = new RemoteAgents(linkParts(security));
    agents.update(new Map([[NODE, proxy.address]]));
    const call = agents.agent(NODE).getVolume(V1, noSignal);
    await called.promise;
    agents.update(new Map());
    expect(agents.nodes()).toEqual([]);
    expect(proxy.open).toBe(1);
    end.resolve();
    expect(await call).toEqual(volume());
    await until(() => proxy.open === 0);
  });

  test('whose node stays keep their connection, and all end with the directory', async () => {
    using security = await insecure();
    const served = await serveOne(scripted(NODE, { getVolume: async () => volume() }), security);
    await using _server = served.server;
    await using proxy = await SilentProxy.to(portOf(served.server));
    const agents = new RemoteAgents(linkParts(security));
    agents.update(new Map([[NODE, proxy.address]]));
    await agents.agent(NODE).getVolume(V1, noSignal);
    agents.update(
      new Map([
        [NODE, proxy.address],
        ['other', '127.0.0.1:1'],
      ]),
    );
    await agents.agent(NODE).getVolume(V1, noSignal);
    expect(proxy.open).toBe(1);
    agents[Symbol.dispose]();
    await until(() => proxy.open === 0);
  });

  test('stay as they are when an address is none', async () => {
    using security = await insecure();
    using agents = new RemoteAgents(linkParts(security));
    agents.update(new Map([['a', '127.0.0.1:1']]));
    const a = agents.agent('a');
    expect(() =>
      agents.update(
        new Map([
          ['a', '127.0.0.1:1'],
          ['b', 'x'],
        ]),
      ),
    ).toThrow(/address of node b/);
    expect(agents.agent('a')).toBe(a);
    expect(agents.nodes()).toEqual(['a']);
  });
});
