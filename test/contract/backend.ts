/** One suite of behaviour for every backend, on a real pool: what `src/core/backend.ts` promises. */
import { describe } from '@jest/globals';
import { capacityContract } from './backend-capacity.ts';
import { copyContract } from './backend-copies.ts';
import { cutContract } from './backend-cuts.ts';
import { deletionContract } from './backend-deletions.ts';
import { deviceContract } from './backend-devices.ts';
import { healthContract } from './backend-health.ts';
import { volumeContract } from './backend-volumes.ts';
import type { MakePool } from './contract.ts';

export function backendContract(name: string, makePool: MakePool): void {
  describe(`the ${name} backend`, () => {
    describe('volumes', () => volumeContract(makePool));
    describe('devices', () => deviceContract(makePool));
    describe('health', () => healthContract(makePool));
    describe('cuts', () => cutContract(makePool));
    describe('the deletion', () => deletionContract(makePool));
    describe('copies', () => copyContract(makePool));
    describe('capacity', () => capacityContract(makePool));
  });
}
