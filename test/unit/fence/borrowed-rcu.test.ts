/** What a guard did not put back is put back when the last round that wants it raised is over. */
import { expect, test } from '@jest/globals';
import { BorrowedRcu } from '../../../src/fence/borrowed-rcu.ts';

/** The kernel's switch, in memory. */
class Switch {
  value: number | undefined = 0;
  readonly read = async () => this.value;
  readonly write = async (value: number) => {
    this.value = value;
  };
}

function open() {
  const kernel = new Switch();
  return { kernel, rcu: new BorrowedRcu(kernel) };
}

test('its guard failed: it is put back', async () => {
  const { kernel, rcu } = open();
  const before = await rcu.borrow();
  kernel.value = 1;
  await rcu.giveBack(before, true);
  expect(kernel.value).toBe(0);
});

test('its guard did not fail: the switch is left to it', async () => {
  const { kernel, rcu } = open();
  const before = await rcu.borrow();
  kernel.value = 1;
  await rcu.giveBack(before, false);
  expect(kernel.value).toBe(1);
});

test('its guard failed while another round runs: it stays raised until that one is over, however that ends', async () => {
  const { kernel, rcu } = open();
  const first = await rcu.borrow();
  kernel.value = 1;
  const second = await rcu.borrow();
  expect(second).toBe(0);
  await rcu.giveBack(first, true);
  expect(kernel.value).toBe(1);
  await rcu.giveBack(second, false);
  expect(kernel.value).toBe(0);
  // Nothing is owed any more.
  const third = await rcu.borrow();
  kernel.value = 1;
  await rcu.giveBack(third, false);
  expect(kernel.value).toBe(1);
});

test('what was raised by somebody else, or is not there, is left alone', async () => {
  const { kernel, rcu } = open();
  for (const value of [1, undefined]) {
    kernel.value = value;
    const before = await rcu.borrow();
    expect(before).toBeUndefined();
    await rcu.giveBack(before, true);
    expect(kernel.value).toBe(value);
  }
});
