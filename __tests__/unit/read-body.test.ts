import { randomBytes } from 'node:crypto';
import { ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { expect, test } from '@jest/globals';
import { ArrivingBytes } from '../../src/wire/arriving-bytes.ts';
import { Refusal } from '../../src/errors.ts';
import type { RoutedRequest } from '../../src/http/handler.ts';
import { readBody } from '../../src/http/read-body.ts';

const KIB = 1024;

/** A request whose body is 100 KiB, which take as many when they are compressed. */
function request(): { request: RoutedRequest; body: Buffer } {
  const body = randomBytes(100 * KIB);
  const stream = Readable.from([gzipSync(body)], { objectMode: false });
  return { request: Object.assign(stream, { headers: { 'content-encoding': 'gzip' } }) as never, body };
}

test('bodies that wait to be decompressed take room of arriving ones, and past the bound the oldest are refused', async () => {
  const arriving = new ArrivingBytes(250 * KIB);
  const read = readBody(arriving);
  const asked = Array.from({ length: 8 }, request);
  const results = await Promise.all(
    asked.map(async ({ request, body }) => {
      const response = new ServerResponse(request);
      try {
        await read(request, response, () => undefined);
        return (request.body as Buffer).equals(body);
      } catch (error) {
        return error instanceof Refusal ? error.status : error;
      }
    }),
  );
  // Four are decompressed at once, and two more have room to wait.
  expect(results.filter((result) => result === true)).toHaveLength(6);
  expect(results.filter((result) => result === 503)).toHaveLength(2);
  expect(arriving.total).toBe(0);
});
