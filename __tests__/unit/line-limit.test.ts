import { expect, jest, test } from '@jest/globals';
import { LineLimit } from '../../src/logging/line-limit.ts';

test('ten lines of a kind are written at once, then the newest of each second, with the number of those left out', () => {
  jest.useFakeTimers();
  const limit = new LineLimit();
  const written: [number, number][] = [];
  const pass = (line: number): void => limit.pass('a', (unlogged) => written.push([line, unlogged]));
  for (let line = 1; line <= 100; line++) pass(line);
  expect(written).toEqual(Array.from({ length: 10 }, (_, index) => [index + 1, 0]));
  jest.advanceTimersByTime(1000);
  expect(written.slice(10)).toEqual([[100, 89]]);
  for (let line = 101; line <= 103; line++) pass(line);
  jest.advanceTimersByTime(1000);
  expect(written.slice(11)).toEqual([[103, 2]]);
  // Another kind has room of its own, and a quiet time gives it back.
  limit.pass('b', (unlogged) => written.push([0, unlogged]));
  expect(written.slice(12)).toEqual([[0, 0]]);
  jest.advanceTimersByTime(60_000);
  for (let line = 201; line <= 220; line++) pass(line);
  expect(written).toHaveLength(23);
  limit.flush();
  expect(written.slice(23)).toEqual([[220, 9]]);
  jest.useRealTimers();
});
