/** Puts an agent on the wire: what arrives is checked, what leaves is translated, and nothing is decided here. */
import type { NodeAgent } from '../core/node-agent.ts';
import type { Page, PageRequest } from '../core/paging.ts';
import type { AgentDefinition } from '../gen/cofferdam/agent/v1/Agent.ts';
import type { PageRequest__Output } from '../gen/cofferdam/agent/v1/PageRequest.ts';
import type { Handlers } from '../rpc/types.ts';
import { type AgentStreams, API, checkApi } from './api.ts';
import { readId, readIdOn, readSize, readToken } from './wire/fields.ts';
import { writeHealth } from './wire/health.ts';
import { writeCapacity, writeLimits } from './wire/pool.ts';
import { readPlan, writeDecision, writeEvidence, writePart, writeQuiescence } from './wire/round.ts';
import { writeRecord, writeSnapshot } from './wire/snapshot.ts';
import { readNewVolume, writeVolume } from './wire/volume.ts';

/** Items in one message of a list. */
const BATCH = 256;

/** @param version of the driver, shown to controllers */
export function agentHandlers(agent: NodeAgent, version: string): Handlers<AgentDefinition, AgentStreams> {
  const { node } = agent;
  const volumeOf = (id: string) => readIdOn(node, 'volume_id', 'volume', id);
  const snapshotOf = (id: string) => readIdOn(node, 'snapshot_id', 'snapshot', id);
  // A group is where its members are, whatever its home.
  const groupOf = (id: string) => readId('group_id', 'group', id);
  const tokenOf = (token: string) => readToken('token', token);
  const claimOf = (claim: string) => readToken('claim', claim);
  const pageOf = (kind: 'volume' | 'snapshot', page: PageRequest__Output | null): PageRequest => ({
    ...(page?.after !== undefined && { after: readIdOn(node, 'page.after', kind, page.after) }),
    ...(page?.limit !== undefined && { limit: page.limit }),
  });
  return {
    Hello: async ({ api }, { signal }) => {
      checkApi('the controller', api);
      return { api: API, node, driverVersion: version, limits: writeLimits(await agent.limits(signal)) };
    },
    Capacity: async (_request, { signal }) => writeCapacity(await agent.capacity(signal)),

    CreateVolume: async (request, { signal }) =>
      writeVolume(await agent.createVolume(readNewVolume(node, request), signal)),
    ClaimVolume: async ({ volumeId, claim }, { signal }) => {
      const volume = await agent.claimVolume(volumeOf(volumeId), claimOf(claim), signal);
      return { ...(volume && { volume: writeVolume(volume) }) };
    },
    ConfirmClaim: async ({ volumeId, claim }, { signal }) => {
      await agent.confirmClaim(volumeOf(volumeId), claimOf(claim), signal);
      return {};
    },
    GetVolume: async ({ volumeId }, { signal }) => {
      const volume = await agent.getVolume(volumeOf(volumeId), signal);
      return { ...(volume && { volume: writeVolume(volume) }) };
    },
    ListVolumes: async function* ({ page }, { signal }) {
      const fetch = (request: PageRequest) => agent.listVolumes(request, signal);
      for await (const { items, ...more } of inBatches(pageOf('volume', page), fetch)) {
        yield { volumes: items.map(writeVolume), ...more };
      }
    },
    ListUnhealthy: async function* ({ page, volumeId }, { signal }) {
      const filter = { ...(volumeId !== undefined && { volumeId: volumeOf(volumeId) }) };
      const fetch = (request: PageRequest) => agent.listUnhealthy(filter, request, signal);
      for await (const { items, ...more } of inBatches(pageOf('volume', page), fetch)) {
        yield { volumes: items.map(writeHealth), ...more };
      }
    },
    DeleteVolume: async ({ volumeId }, { signal }) => {
      await agent.deleteVolume(volumeOf(volumeId), signal);
      return {};
    },
    ExpandVolume: async ({ volumeId, capacityBytes }, { signal }) => {
      const size = readSize('capacity_bytes', capacityBytes);
      return writeVolume(await agent.expandVolume(volumeOf(volumeId), size, signal));
    },

    GetSnapshot: async ({ snapshotId }, { signal }) => {
      const snapshot = await agent.getSnapshot(snapshotOf(snapshotId), signal);
      return { ...(snapshot && { snapshot: writeSnapshot(snapshot) }) };
    },
    ListSnapshots: async function* ({ page, sourceVolumeId: source }, { signal }) {
      const filter = {
        ...(source !== undefined && { sourceVolumeId: readIdOn(node, 'source_volume_id', 'volume', source) }),
      };
      const fetch = (request: PageRequest) => agent.listSnapshots(filter, request, signal);
      for await (const { items, ...more } of inBatches(pageOf('snapshot', page), fetch)) {
        yield { snapshots: items.map(writeSnapshot), ...more };
      }
    },
    DeleteSnapshot: async ({ snapshotId }, { signal }) => {
      await agent.deleteSnapshot(snapshotOf(snapshotId), signal);
      return {};
    },

    GetGroup: async ({ groupId }, { signal }) => {
      const record = await agent.getGroup(groupOf(groupId), signal);
      return { ...(record && { record: writeRecord(record) }) };
    },
    DeleteGroup: async ({ groupId }, { signal }) => {
      await agent.deleteGroup(groupOf(groupId), signal);
      return {};
    },

    Prepare: async (request, { signal }) => {
      const { quiescence } = await agent.prepare(readPlan(node, request), signal);
      return { quiescence: quiescence.map(writeQuiescence) };
    },
    Wait: async ({ token }, { signal }) => {
      await agent.wait(tokenOf(token), signal);
      return {};
    },
    Freeze: async ({ token }, { signal }) => await agent.freeze(tokenOf(token), signal),
    Cut: async ({ token }, { signal }) => {
      const { evidence } = await agent.cut(tokenOf(token), signal);
      return { evidence: evidence.map(writeEvidence) };
    },
    Commit: async ({ token }, { signal }) => writeRecord(await agent.commit(tokenOf(token), signal)),
    Abort: async ({ token }, { signal }) => {
      await agent.abort(tokenOf(token), signal);
      return {};
    },
    Settle: async ({ token }, { signal }) => ({
      decision: writeDecision(await agent.settle(tokenOf(token), signal)),
    }),
    SealedParts: async function* (_request, { signal }) {
      const parts = (await agent.sealedParts(signal)).map(writePart);
      // One message also when there is none: a controller of 1.0 waits for it.
      for (let start = 0; start === 0 || start < parts.length; start += BATCH) {
        yield { parts: parts.slice(start, start + BATCH) };
      }
    },
  };
}

/** The page that was asked for, in pieces; the last of them says where the next page starts. */
async function* inBatches<T>(
  { after, limit = Number.POSITIVE_INFINITY }: PageRequest,
  fetch: (request: PageRequest) => Promise<Page<T>>,
): AsyncGenerator<Page<T>> {
  let left = limit;
  for (let start = after; ; ) {
    const page = await fetch({ ...(start !== undefined && { after: start }), limit: Math.min(left, BATCH) });
    left -= page.items.length;
    start = page.next;
    if (start === undefined || left <= 0) {
      yield page;
      return;
    }
    yield { items: page.items };
  }
}
