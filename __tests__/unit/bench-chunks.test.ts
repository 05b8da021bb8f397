import { expect, test } from '@jest/globals';
import { BodyBytes } from '../../bench/client/chunks.js';

/** A body of 300 bytes, in chunks of the given sizes. */
function chunked(...sizes: number[]): Buffer {
  return Buffer.from(sizes.map((size) => `${size.toString(16)}\r\n${'x'.repeat(size)}\r\n`).join(''));
}

test('the bytes of a body are counted without the headers of its chunks, however a server cuts them', () => {
  expect(new BodyBytes().count(chunked(300))).toBe(300);
  expect(new BodyBytes().count(chunked(1, 171, 128))).toBe(300);
});

test('the bytes of a body are the same however the network cuts its chunks', () => {
  const body = new BodyBytes();
  let bytes = 0;
  for (const byte of chunked(171, 128, 1)) bytes += body.count(Buffer.of(byte));
  expect(bytes).toBe(300);
});

test('the size of a chunk may have large digits', () => {
  expect(new BodyBytes().count(Buffer.from(`AB\r\n${'\n'.repeat(171)}\r\n1\r\n`))).toBe(171);
});
