import { expect, test } from '@jest/globals';
import { VolumeClaims } from '../../../src/agent/volume-claims.ts';
import { volumeId } from '../../../src/core/ids.ts';

const V = volumeId('a', 'v');
const aborted = expect.objectContaining({ code: 'aborted', message: expect.stringContaining(V) });

test('the last claim of a volume counts, until the volume is there', () => {
  const claims = new VolumeClaims();
  expect(() => claims.assertLast(V, 'one')).toThrow(aborted);
  claims.claim(V, 'one');
  claims.claim(volumeId('a', 'other'), 'two');
  claims.assertLast(V, 'one');
  claims.claim(V, 'two');
  claims.assertLast(V, 'two');
  expect(() => claims.assertLast(V, 'one')).toThrow(aborted);
  claims.forget(V);
  expect(() => claims.assertLast(V, 'two')).toThrow(aborted);
});

test('claims that nobody follows up are forgotten, the oldest first', () => {
  const claims = new VolumeClaims();
  const W = volumeId('a', 'w');
  claims.claim(V, 'one');
  claims.claim(W, 'one');
  for (let i = 0; i < 4094; i++) claims.claim(volumeId('a', `v${i}`), 'one');
  claims.claim(V, 'again');
  claims.claim(volumeId('a', 'more'), 'one');
  claims.assertLast(V, 'again');
  expect(() => claims.assertLast(W, 'one')).toThrow();
});
