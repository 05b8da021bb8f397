import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';

/** Its own types want those of a browser (tsconfig.public.json). */
const file = '../../public/chat/watching.js';
const { Watching } = (await import(file)) as {
  Watching: new (watch: () => unknown) => { look: () => void; lookNow: () => void };
};

const REST = 3000;

beforeEach(() => {
  jest.useFakeTimers();
});
afterEach(() => {
  jest.useRealTimers();
});

test('a change of the watched people takes effect at once, and further ones once in three seconds', () => {
  let times = 0;
  const watching = new Watching(() => times++);
  watching.look();
  expect(times).toBe(1);
  for (let change = 0; change < 100; change++) watching.look();
  expect(times).toBe(1);
  jest.advanceTimersByTime(REST);
  expect(times).toBe(2);
  jest.advanceTimersByTime(10 * REST);
  expect(times).toBe(2);
  watching.look();
  expect(times).toBe(3);
});

test('a person who is waited for is watched at once, which covers all earlier changes', () => {
  let times = 0;
  const watching = new Watching(() => times++);
  watching.look();
  watching.look();
  watching.lookNow();
  expect(times).toBe(2);
  jest.advanceTimersByTime(10 * REST);
  expect(times).toBe(2);
});
