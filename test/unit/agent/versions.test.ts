/** Releases one minor version apart work together; those of different major versions say so. */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { loadSync } from '@grpc/proto-loader';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { agentHandlers } from '../../../src/agent/agent-service.ts';
import { AGENT_SERVICE, type AgentStreams, API } from '../../../src/agent/api.ts';
import { RemoteAgent } from '../../../src/agent/remote-agent.ts';
import { writePart } from '../../../src/agent/wire/round.ts';
import { DriverError } from '../../../src/core/errors.ts';
import type { NodeAgent } from '../../../src/core/node-agent.ts';
import type { SealedPart } from '../../../src/core/round.ts';
import type { AgentDefinition } from '../../../src/gen/cofferdam/agent/v1/Agent.ts';
import type { LoadedService } from '../../../src/rpc/proto.ts';
import { bindService, type RpcServer, serve } from '../../../src/rpc/server.ts';
import type { Handlers } from '../../../src/rpc/types.ts';
import { ROOT } from '../../support/command.ts';
import { noSignal } from '../support/fake-agent.ts';
import { temporaryFolder } from '../support/rpc.ts';
import { insecure, linkParts, portOf, reach } from './support/link.ts';
import { NODE, PART, PLAN, SPEC, TOKEN, V1, volume } from './support/samples.ts';
import { scripted } from './support/scripted-agent.ts';

const TODAY = readFileSync(path.join(ROOT, 'csi-proto/agent.proto'), 'utf8');

/** A release that adds: an RPC, fields of requests, of answers and of what is nested in them, a kind, a value. */
const LATER = edited(
  ['service Agent {', 'service Agent {\n  rpc Compact(GetVolumeRequest) returns (Volume) {}'],
  ['message GetVolumeRequest {', 'message GetVolumeRequest {\n  string detail = 90;'],
  ['message GetVolumeResponse {', 'message GetVolumeResponse {\n  string advice = 90;'],
  ['message Volume {', 'message Volume {\n  repeated string tags = 90;'],
  ['message VolumeLimits {', 'message VolumeLimits {\n  uint64 max_volumes = 90;'],
  ['message HelloRequest {', 'message HelloRequest {\n  string colour = 90;'],
  ['  UNFENCED = 4;', '  UNFENCED = 4;\n  PAUSED = 5;'],
);
/** 1.0: without claims and health, and with parts in one message; and without a field that it had, for one that came later. */
const EARLIER = edited(
  ['  rpc ClaimVolume(ClaimVolumeRequest) returns (ClaimVolumeResponse) {}\n', ''],
  ['  rpc ConfirmClaim(ConfirmClaimRequest) returns (ConfirmClaimResponse) {}\n', ''],
  ['  rpc ListUnhealthy(ListUnhealthyRequest) returns (stream ListUnhealthyResponse) {}\n', ''],
  ['  optional string claim = 6;\n', ''],
  ['  optional string access_type = 7;\n', ''],
  ['  optional string access_type = 9;\n', ''],
  ['returns (stream SealedPartsResponse)', 'returns (SealedPartsResponse)'],
  ['  optional bool fenced = 6;\n', ''],
);

function edited(...changes: readonly (readonly [string, string])[]): string {
  return changes.reduce((text, [from, to]) => {
    expect(text.split(from)).toHaveLength(2);
    return text.replace(from, () => to);
  }, TODAY);
}

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
beforeAll(async () => {
  folder = await temporaryFolder();
});
afterAll(async () => await folder[Symbol.asyncDispose]());

function load(name: string, text: string): LoadedService {
  const file = path.join(folder.path, `${name}.proto`);
  writeFileSync(file, text);
  const options = { longs: String, enums: String, bytes: Buffer, defaults: true, oneofs: true };
  return loadSync(file, options)[AGENT_SERVICE] as LoadedService;
}

type Served = Handlers<AgentDefinition, AgentStreams>;

/** An agent of another release. */
async function serveAs(service: LoadedService, handlers: object): Promise<RpcServer> {
  const all = { ...agentHandlers(agent, '9.9.9'), ...handlers } as Served;
  const known = Object.fromEntries(Object.entries(all).filter(([method]) => method in service)) as Served;
  return await serve({
    address: { kind: 'tcp', host: '127.0.0.1', port: 0 },
    services: [bindService<AgentDefinition, AgentStreams>(AGENT_SERVICE, service, known)],
    interceptors: [],
    drainMs: 100,
  });
}

let parts: readonly SealedPart[] = [PART];

const agent: NodeAgent = scripted(NODE, {
  createVolume: async () => volume(),
  getVolume: async () => volume(),
  prepare: async ({ fenced }) => ({ quiescence: [fenced ? 'frozen' : 'idle'] }),
  sealedParts: async () => parts,
});

const hello = (major: number, minor: number) => ({
  api: { major, minor },
  node: NODE,
  driverVersion: '9.9.9',
  limits: { sizeGranularity: '1', minVolumeBytes: '2', maxVolumeBytes: '3', maxVolumes: '4' },
});

describe('a controller of this release', () => {
  test('works with an agent of a later one, and does not see what was added', async () => {
    const service = load('later', LATER);
    const wire = { ...(await agentHandlers(agent, '').GetVolume?.({ volumeId: V1 }, { signal: noSignal } as never)) };
    const answer = { advice: 'buy more', volume: { ...wire.volume, tags: ['a', 'b'] } };
    await using server = await serveAs(service, {
      Hello: async () => hello(API.major, API.minor + 1),
      GetVolume: async () => answer,
    });
    using security = await insecure();
    using remote = new RemoteAgent({ node: NODE, address: `127.0.0.1:${portOf(server)}` }, linkParts(security));
    expect(await remote.limits(noSignal)).toEqual({ sizeGranularity: 1n, minVolumeBytes: 2n, maxVolumeBytes: 3n });
    expect(await remote.getVolume(V1, noSignal)).toEqual(volume());
    expect(await remote.sealedParts(noSignal)).toEqual([PART]);
  });

  test('is told what it can not know, rather than to guess', async () => {
    await using server = await serveAs(load('later', LATER), { Prepare: async () => ({ quiescence: ['PAUSED'] }) });
    using security = await insecure();
    using remote = new RemoteAgent({ node: NODE, address: `127.0.0.1:${portOf(server)}` }, linkParts(security));
    await expect(remote.prepare(PLAN, noSignal)).rejects.toMatchObject({
      code: 'internal',
      message: expect.stringMatching(/quiescence: 5 is not known here/),
    });
  });

  test('works with an agent of an earlier one, and does without what that has not got', async () => {
    await using server = await serveAs(load('earlier', EARLIER), {
      SealedParts: async () => ({ parts: [writePart(PART)] }),
    });
    using security = await insecure();
    using remote = new RemoteAgent({ node: NODE, address: `127.0.0.1:${portOf(server)}` }, linkParts(security));
    expect(await remote.getVolume(V1, noSignal)).toEqual(volume());
    expect(await remote.prepare(PLAN, noSignal)).toEqual({ quiescence: ['frozen'] });
    expect(await remote.sealedParts(noSignal)).toEqual([PART]);
    expect(await remote.claimVolume(V1, TOKEN, noSignal)).toEqual(volume());
    await remote.confirmClaim(V1, TOKEN, noSignal);
    expect(await remote.createVolume({ ...SPEC, claim: TOKEN }, noSignal)).toEqual(volume());
    await expect(remote.listUnhealthy({}, {}, noSignal)).rejects.toMatchObject({ code: 'unimplemented' });
  });

  test('is told when an agent of an earlier one has something against its look', async () => {
    const GetVolume = async () => {
      throw new DriverError('aborted', 'busy');
    };
    await using server = await serveAs(load('earlier', EARLIER), { GetVolume });
    using security = await insecure();
    using remote = new RemoteAgent({ node: NODE, address: `127.0.0.1:${portOf(server)}` }, linkParts(security));
    await expect(remote.claimVolume(V1, TOKEN, noSignal)).rejects.toMatchObject({ code: 'aborted' });
  });

  test.each([
    ['a later major version', async () => hello(API.major + 1, 0), /speaks 2\.0 of the link's protocol, this is 1\.\d/],
    ['no version', async () => ({ node: NODE }), /speaks another version/],
    ['not a word of it', undefined, /speaks another version/],
  ])('refuses an agent that speaks %s', async (_what, Hello, message) => {
    const other = TODAY.replace('rpc Hello(', 'rpc Greet(');
    await using server = await serveAs(load('major', Hello ? TODAY : other), Hello ? { Hello } : {});
    using security = await insecure();
    using remote = new RemoteAgent({ node: NODE, address: `127.0.0.1:${portOf(server)}` }, linkParts(security));
    const failure = { code: 'failed-precondition', message: expect.stringMatching(message) };
    await expect(remote.getVolume(V1, noSignal)).rejects.toMatchObject(failure);
    await expect(remote.limits(noSignal)).rejects.toMatchObject(failure);
  });
});

describe('an agent of this release', () => {
  type Client = Readonly<Record<string, (request: object) => Promise<Readonly<Record<string, unknown>>>>>;

  test('serves a controller of a later one', async () => {
    await using link = await reach<Client>(agent, load('later', LATER));
    const api = { major: API.major, minor: API.minor + 1 };
    const greeting = await link.client.Hello?.({ api, node: NODE, colour: 'blue' });
    expect(greeting).toMatchObject({ api: API, node: NODE, limits: { maxVolumes: '0' } });
    const found = await link.client.GetVolume?.({ volumeId: V1, detail: 'all' });
    expect(found).toMatchObject({ volume: { id: V1, tags: [] }, advice: '' });
    await expect(link.client.Compact?.({ volumeId: V1 })).rejects.toMatchObject({ code: 'unimplemented' });
  });

  test('serves a controller of an earlier one, and takes what that does not say for what it was', async () => {
    await using link = await reach<Client>(agent, load('earlier', EARLIER));
    expect(await link.client.Prepare?.({ ...PLAN })).toEqual({ quiescence: ['FROZEN'] });
    expect(await link.client.SealedParts?.({})).toMatchObject({ parts: [{ token: PART.token }] });
    parts = [];
    expect(await link.client.SealedParts?.({})).toEqual({ parts: [] });
  });

  test.each([{ major: API.major + 1 }, { major: 0, minor: 9 }, null])('refuses a controller of %j', async (api) => {
    await using link = await reach<Client>(agent, load('today', TODAY));
    await expect(link.client.Hello?.({ api, node: NODE })).rejects.toMatchObject({
      code: 'failed-precondition',
      message: expect.stringMatching(/^the controller speaks .* run the same release$/),
    });
  });
});
