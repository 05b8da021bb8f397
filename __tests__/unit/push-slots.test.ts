import { expect, test } from '@jest/globals';
import { Slots } from '../../src/push/slots.ts';

/** Has several wait for places, and tells who got one, in order. */
function taking(slots: Slots, got: string[]): (service: string, name?: string) => void {
  return (service, name = service) => void slots.take(service).then(() => got.push(name));
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('a push service has its own few places; who waits gets the next, in order', async () => {
  const slots = new Slots({ inAll: 10, perService: 2 });
  const got: string[] = [];
  const take = taking(slots, got);
  for (const name of ['a1', 'a2', 'a3', 'a4']) take('a', name);
  take('b', 'b1');
  await settled();
  expect(got).toEqual(['a1', 'a2', 'b1']);
  expect([slots.taken, slots.waiting]).toEqual([3, 2]);
  slots.release('a');
  await settled();
  slots.release('a');
  await settled();
  expect(got.slice(3)).toEqual(['a3', 'a4']);
  expect([slots.taken, slots.waiting]).toEqual([3, 0]);
  for (const service of ['a', 'a', 'b']) slots.release(service);
  expect(slots.taken).toBe(0);
});

test('where all places are taken, the push services take turns', async () => {
  const slots = new Slots({ inAll: 2, perService: 2 });
  const got: string[] = [];
  const take = taking(slots, got);
  for (const service of ['a', 'a', 'a', 'a', 'b', 'b', 'c']) take(service);
  await settled();
  expect(got).toEqual(['a', 'a']);
  for (let count = 0; count < 5; count++) {
    slots.release(got[count] ?? '');
    await settled();
  }
  expect(got.slice(2).sort()).toEqual(['a', 'a', 'b', 'b', 'c']);
  expect(got.slice(2, 5).sort()).toEqual(['a', 'b', 'c']);
});

test('very many who wait get their places in order', async () => {
  const slots = new Slots({ inAll: 1, perService: 1 });
  const got: string[] = [];
  const take = taking(slots, got);
  const names = Array.from({ length: 10_000 }, (_, index) => `a${index}`);
  for (const name of names) take('a', name);
  for (let count = 1; count < names.length; count++) slots.release('a');
  await settled();
  expect(got).toEqual(names);
  expect([slots.taken, slots.waiting]).toEqual([1, 0]);
});
