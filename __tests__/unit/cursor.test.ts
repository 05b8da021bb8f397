import { beforeEach, describe, expect, test } from '@jest/globals';
import { Epochs, newEpoch, parseCursor } from '../../src/log/cursor.ts';

describe('a cursor', () => {
  test.each([
    ['0', { id: 0, epoch: undefined }],
    ['42', { id: 42, epoch: undefined }],
    ['42-k3f9', { id: 42, epoch: 'k3f9' }],
    ['9007199254740991-a', { id: Number.MAX_SAFE_INTEGER, epoch: 'a' }],
  ])('the cursor %s is read', (text, cursor) => {
    expect(parseCursor(text)).toEqual(cursor);
  });

  test.each([
    '',
    ' 42',
    '-1',
    '+1',
    '4.2',
    '1e3',
    '42-',
    '42-K3F9',
    '42-a-b',
    '9007199254740992',
    'abc',
    '42\n',
    '٤٢',
  ])('%j is not a cursor', (text) => {
    expect(parseCursor(text)).toBeUndefined();
  });
});

describe('the epochs of a log', () => {
  let epochs: Epochs;
  beforeEach(() => {
    epochs = new Epochs([
      { firstId: 1, epoch: 'one' },
      { firstId: 10, epoch: 'ten' },
    ]);
    epochs.begin({ firstId: 21, epoch: 'now' });
  });

  test.each([
    [0, '0'],
    [1, '1-one'],
    [9, '9-one'],
    [10, '10-ten'],
    [20, '20-ten'],
    [21, '21-now'],
    [99, '99-now'],
  ])('position %i is the cursor %s', (id, cursor) => {
    expect(epochs.format(id)).toBe(cursor);
  });

  test.each([
    ['0', true],
    ['9', true],
    ['9-one', true],
    ['10-one', false],
    ['10-ten', true],
    ['20-ten', true],
    ['20-now', false],
    ['21-ten', false],
    ['25-now', true],
    ['26-now', false],
    ['26', false],
    ['5-lost', false],
    ['0-one', false],
  ])('with the head at 25, the cursor %s is known: %s', (text, known) => {
    const cursor = parseCursor(text);
    expect(cursor !== undefined && epochs.knows(cursor, 25)).toBe(known);
  });

  test('a cursor that was given for a commit is known before the commit is handed on', () => {
    epochs.format(27);
    const known = ['27-now', '27', '28-now', '27-ten'].map((text) => {
      const cursor = parseCursor(text);
      return cursor !== undefined && epochs.knows(cursor, 25);
    });
    expect(known).toEqual([true, true, false, false]);
  });
});

test('each new epoch is different, and can be read in a cursor', () => {
  const epochs = Array.from({ length: 1000 }, newEpoch);
  expect(epochs.every((epoch) => parseCursor(`1-${epoch}`)?.epoch === epoch)).toBe(true);
  expect(new Set(epochs).size).toBe(1000);
});
