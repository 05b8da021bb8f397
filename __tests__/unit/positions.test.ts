import { expect, test } from '@jest/globals';
import { Positions } from '../../src/cluster/positions.ts';

const MINUTE = 60_000;

test('positions are not known before others were heard for 15 minutes without a break', () => {
  const positions = new Positions();
  positions.note('one', 7, 0);
  expect(positions.lately(0)).toBeUndefined();
  positions.hearing(true, 0);
  positions.hearing(true, 10 * MINUTE);
  expect(positions.lately(15 * MINUTE - 1)).toBeUndefined();
  positions.note('one', 9, 14 * MINUTE);
  expect(positions.lately(15 * MINUTE)).toEqual([9]);
  positions.hearing(false, 16 * MINUTE);
  expect(positions.lately(16 * MINUTE)).toBeUndefined();
  positions.hearing(true, 17 * MINUTE);
  expect(positions.lately(31 * MINUTE)).toBeUndefined();
  expect(positions.lately(32 * MINUTE)).toEqual([]);
});

test('a node that was seen counts for 15 minutes after it has gone, and is forgotten then', () => {
  const positions = new Positions();
  positions.hearing(true, 0);
  positions.note('gone', 3, 5 * MINUTE);
  positions.note('there', 8, 5 * MINUTE);
  positions.note('there', 12, 19 * MINUTE);
  expect(positions.lately(19 * MINUTE)).toEqual([3, 12]);
  positions.note('there', 14, 20 * MINUTE);
  expect(positions.lately(20 * MINUTE)).toEqual([14]);
});

test('there are no other positions if no other node was seen', () => {
  const positions = new Positions();
  positions.hearing(true, 0);
  expect(positions.lately(15 * MINUTE)).toEqual([]);
});

test('if more nodes were seen than are remembered, positions are unknown until 15 minutes after the last of them', () => {
  const positions = new Positions();
  positions.hearing(true, 0);
  for (let node = 0; node < 1000; node++) positions.note(`node-${node}`, node, 20 * MINUTE);
  expect(positions.lately(20 * MINUTE)).toHaveLength(1000);
  for (let node = 0; node < 30_000; node++) positions.note(`stranger-${node}`, 1, 21 * MINUTE);
  positions.note('node-0', 5, 21 * MINUTE);
  expect(positions.lately(21 * MINUTE)).toBeUndefined();
  positions.tidy(35 * MINUTE);
  positions.note('late', 8, 35 * MINUTE);
  expect(positions.lately(36 * MINUTE - 1)).toBeUndefined();
  expect(positions.lately(36 * MINUTE)).toEqual([8]);
});
