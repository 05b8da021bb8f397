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

test('who is worth it is watched at once, and however often that changes, then once in three seconds', () => {
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

test('whom a person waits for is watched at once, and what came before it needs nothing more', () => {
  let times = 0;
  const watching = new Watching(() => times++);
  watching.look();
  watching.look();
  watching.lookNow();
  expect(times).toBe(2);
  jest.advanceTimersByTime(10 * REST);
  expect(times).toBe(2);
});
