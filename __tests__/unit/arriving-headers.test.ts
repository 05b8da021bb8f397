import type { Socket } from 'node:net';
import { expect, test } from '@jest/globals';
import { ArrivingBytes } from '../../src/wire/arriving-bytes.ts';
import { ArrivingHeaders } from '../../src/http/arriving-headers.ts';
import { tooManyHeaders } from '../../src/http/unreadable.ts';

const KIB = 1024;
const MAX_BYTES = 1000 * KIB;

/** A connection of which a test says how much has been read. */
class FakeConnection {
  bytesRead = 0;
  refused = 0;
  readonly socket = this as unknown as Socket;

  constructor(headers: ArrivingHeaders) {
    headers.add(this.socket, () => {
      this.refused++;
    });
  }
}

function watched(count: number): { bytes: ArrivingBytes; headers: ArrivingHeaders; all: FakeConnection[] } {
  const bytes = new ArrivingBytes(MAX_BYTES);
  const headers = new ArrivingHeaders(bytes);
  return { bytes, headers, all: Array.from({ length: count }, () => new FakeConnection(headers)) };
}

const refused = (all: readonly FakeConnection[]): number[] => all.map((one) => one.refused);

test('past their bound of memory, the headers that were long first are refused, once each, until the rest fits', () => {
  const { bytes, headers, all } = watched(5);
  for (const connection of all.toReversed()) {
    connection.bytesRead = 300 * KIB;
    headers.look();
  }
  expect(refused(all)).toEqual([0, 0, 0, 1, 1]);
  expect(bytes.total).toBe(900 * KIB);
});

test('the refusal of a header says when to come back, as every 503 does', () => {
  expect(tooManyHeaders('')).toMatch(/^HTTP\/1\.1 503 [^]*\r\nRetry-After: [1-9]\d*\r\n[^]*\r\n\r\n\{/);
});

test('headers of up to 64 KiB are never refused', () => {
  const { bytes, headers, all } = watched(500);
  for (const connection of all) connection.bytesRead = 64 * KIB;
  headers.look();
  expect(bytes.total).toBe(0);
});

test('a header that has arrived takes no room, nor does its body; the next header counts from the end of that', () => {
  const { bytes, headers, all } = watched(1);
  const [connection] = all as [FakeConnection];
  connection.bytesRead = 200 * KIB;
  headers.look();
  expect(bytes.total).toBe(200 * KIB);
  headers.arrived(connection.socket);
  connection.bytesRead += 4096 * KIB;
  headers.look();
  expect(bytes.total).toBe(0);
  headers.requestEnded(connection.socket);
  headers.look();
  expect(bytes.total).toBe(0);
  connection.bytesRead += 100 * KIB;
  headers.look();
  expect(bytes.total).toBe(100 * KIB);
  headers.delete(connection.socket);
  expect(bytes.total).toBe(0);
});

test('trailers behind a chunked body take room as headers do, until the request has ended', () => {
  const { bytes, headers, all } = watched(1);
  const [connection] = all as [FakeConnection];
  headers.arrived(connection.socket);
  for (let chunk = 0; chunk < 10; chunk++) {
    connection.bytesRead += 100 * KIB;
    headers.chunkArrived(connection.socket);
    headers.look();
    expect(bytes.total).toBe(0);
  }
  connection.bytesRead += 200 * KIB;
  headers.look();
  expect(bytes.total).toBe(200 * KIB);
  headers.requestEnded(connection.socket);
  expect(bytes.total).toBe(0);
});

test('each of very many connections is checked in its turn', () => {
  const { bytes, headers, all } = watched(5000);
  const last = all.at(-1) as FakeConnection;
  last.bytesRead = 100 * KIB;
  headers.look();
  headers.look();
  expect(bytes.total).toBe(0);
  headers.look();
  expect(bytes.total).toBe(100 * KIB);
  // Those that come and go meanwhile change nothing about that.
  for (const { socket } of all.slice(0, 4000)) headers.delete(socket);
  last.bytesRead = 200 * KIB;
  headers.look();
  headers.look();
  expect(bytes.total).toBe(200 * KIB);
});
