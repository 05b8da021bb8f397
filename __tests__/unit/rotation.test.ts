import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import type { Logger } from 'pino';
import { Rotation } from '../../src/auth/rotation.ts';

let content: Buffer | Error;
let taken: string[];
let readings: number;
let lines: string[];
let rotation: Rotation;
beforeEach(() => {
  jest.useFakeTimers();
  content = Buffer.from('first');
  taken = [];
  readings = 0;
  lines = [];
  const note = (level: string) => (first: unknown, text?: string) =>
    lines.push(`${level} ${text ?? String(first)}`);
  rotation = new Rotation(
    {
      name: 'KEYS',
      read: () => {
        readings++;
        return content instanceof Error ? Promise.reject(content) : Promise.resolve(content);
      },
      take: (bytes) => {
        const text = bytes.toString();
        if (text.startsWith('bad')) return Promise.reject(new Error(`it is ${text}`));
        taken.push(text);
        return Promise.resolve();
      },
    },
    { look: 1000, refresh: 2000, retry: 0 },
    { info: note('info'), error: note('error') } as unknown as Logger,
  );
  rotation.start();
});
afterEach(() => {
  jest.useRealTimers();
});

const pass = (milliseconds: number) => jest.advanceTimersByTimeAsync(milliseconds);
const failed = 'error KEYS cannot be read: the known keys stay in use';

test('a rotation puts changed keys into use at the next read, and leaves unchanged ones alone', async () => {
  await rotation.load();
  await pass(10_000);
  expect(taken).toEqual(['first']);
  content = Buffer.from('other');
  await pass(3000);
  expect([taken, lines]).toEqual([['first', 'other'], []]);
});

test('a rotation reads its source at one interval, and at another after a failure', async () => {
  await rotation.load();
  await pass(8000);
  expect(readings).toBeLessThanOrEqual(5);
  content = new Error('gone');
  await pass(3000);
  const before = readings;
  await pass(4000);
  expect(readings - before).toBe(4);
});

test('a failure of a rotation is logged when it begins, when it changes, and when it ends', async () => {
  await rotation.load();
  content = new Error('gone');
  await pass(10_000);
  expect(lines).toEqual([failed]);
  content = Buffer.from('bad');
  await pass(10_000);
  expect(lines).toEqual([failed, failed]);
  expect(rotation.failure?.message).toBe('it is bad');
  content = Buffer.from('first');
  await pass(10_000);
  expect(lines).toEqual([failed, failed, 'info KEYS can be read again']);
  expect([taken, rotation.failure]).toEqual([['first'], undefined]);
});

test('a load during a read waits for that read', async () => {
  const both = [rotation.load(), rotation.load()];
  expect(rotation.isLoading).toBe(true);
  await Promise.all(both);
  expect([readings, rotation.isLoading]).toEqual([1, false]);
  content = new Error('gone');
  await expect(Promise.all([rotation.loadAgain(), rotation.load()])).rejects.toThrow('gone');
  expect(readings).toBe(2);
});
