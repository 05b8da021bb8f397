import { afterEach, expect, test } from '@jest/globals';
import { closeSync, constants, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { LineWriter } from '../../src/logging/line-writer.ts';
import { Fifo } from '../support/fifo.ts';
import { cleanUp, newFolder, undoAtEnd } from '../support/server.ts';
import { until } from '../support/until.ts';

afterEach(cleanUp);

const MEBIBYTE = 1024 * 1024;

function open(path: string, mayBlock: boolean): { writer: LineWriter; told: number[] } {
  const fd = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK | (mayBlock ? constants.O_CREAT : 0));
  undoAtEnd(() => closeSync(fd));
  const told: number[] = [];
  return { writer: new LineWriter({ fd, mayBlock }, (lines) => told.push(lines)), told };
}

const lines = (count: number, length = 100): string[] =>
  Array.from({ length: count }, (_, index) => `${index}`.padEnd(length - 1, '.') + '\n');

test('log lines come out whole and in order, in a file and in a pipe that is read slowly', async () => {
  const expected = lines(5000);
  const file = join(newFolder(), 'log');
  const toFile = open(file, true).writer;
  for (const line of expected) toFile.write(line);
  await until(() => readFileSync(file, 'utf8').length === expected.join('').length);
  expect(readFileSync(file, 'utf8')).toBe(expected.join(''));

  const fifo = new Fifo();
  const toPipe = open(fifo.path, false).writer;
  for (const line of expected) toPipe.write(line);
  let read = '';
  await until(() => (read += fifo.read()).length >= expected.join('').length);
  expect(read).toBe(expected.join(''));
  expect([toFile.dropped, toPipe.dropped]).toEqual([0, 0]);
});

test('a pipe that nobody reads takes a mebibyte of memory; lines past it are dropped, counted, and told of once', async () => {
  const fifo = new Fifo();
  const { writer, told } = open(fifo.path, false);
  const given = lines(20_000);
  for (const [index, line] of given.entries()) {
    writer.write(line);
    if (index % 1000 === 0) await sleep(1);
  }
  expect(writer.dropped).toBeGreaterThan(0);
  const kept = (given.length - writer.dropped) * 100;
  expect(kept).toBeGreaterThan(MEBIBYTE - 100);
  expect(kept).toBeLessThan(MEBIBYTE + 3 * 64 * 1024);
  expect(told).toEqual([]);
  let read = '';
  await until(() => (read += fifo.read()).length >= kept);
  expect(read).toBe(given.slice(0, kept / 100).join(''));
  expect(told).toEqual([writer.dropped]);
});

test('a disk that is full, and a reader that has gone, are no error, and the lines wait', async () => {
  const full = open('/dev/full', false);
  const fifo = new Fifo();
  const gone = open(fifo.path, false);
  fifo.leave();
  for (const { writer } of [full, gone]) {
    for (const line of lines(20_000)) writer.write(line);
    await sleep(20);
    expect(writer.dropped).toBeGreaterThan(5000);
    writer.flush();
  }
});

test('the lines that wait are written before a flush returns', () => {
  const file = join(newFolder(), 'log');
  const fifo = new Fifo();
  const expected = lines(500);
  for (const [path, mayBlock] of [
    [file, true],
    [fifo.path, false],
  ] as const) {
    const { writer } = open(path, mayBlock);
    for (const line of expected) writer.write(line);
    writer.flush();
  }
  expect(readFileSync(file, 'utf8')).toBe(expected.join(''));
  expect(fifo.read()).toBe(expected.join(''));
});
