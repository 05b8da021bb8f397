import { EventEmitter, once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { connect, type Socket } from 'node:net';
import { Readable } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { WebSocket } from 'ws';
import { ArrivingBytes } from '../../src/wire/arriving-bytes.ts';
import type { RoutedRequest } from '../../src/http/handler.ts';
import { readBody } from '../../src/http/read-body.ts';
import { ReadingTurns } from '../../src/wire/reading-turns.ts';
import { HttpServer } from '../../src/http/server.ts';
import type { Connection } from '../../src/wire/connection.ts';
import { IncomingMessages, restBetweenReads } from '../../src/ws/incoming-messages.ts';
import { until } from '../support/until.ts';

/** One-byte chunks, of which a read of 64 KiB has less than 11,000. */
const CHUNK = '1\r\nx\r\n';
const MAX_IN_READ = 11_000;

/** Counts what happens in one turn of the event loop. */
class PerTurn {
  most = 0;
  all = 0;
  #count = 0;

  add(): void {
    if (this.#count === 0) setImmediate(() => (this.#count = 0));
    this.all++;
    this.most = Math.max(this.most, ++this.#count);
  }
}

test('connections that wait continue in order, one in each turn', async () => {
  const turns = new ReadingTurns();
  const order: number[] = [];
  const goOn = new PerTurn();
  for (let index = 0; index < 5; index++) {
    turns.wait(() => {
      goOn.add();
      order.push(index);
    });
  }
  expect(order).toEqual([]);
  await until(() => order.length === 5);
  expect(order).toEqual([0, 1, 2, 3, 4]);
  expect(goOn.most).toBe(1);
});

describe('connections of HTTP', () => {
  let server: HttpServer;
  let handle: (request: IncomingMessage, response: ServerResponse) => void;
  let socket: Socket;
  let received: string;
  beforeEach(async () => {
    received = '';
    server = await HttpServer.listen('127.0.0.1', 0, 100);
    server.serve((request, response) => handle(request, response));
  });
  afterEach(async () => {
    socket.destroy();
    await server.close(10);
  });

  const send = (text: string): void => {
    socket = connect(Number(new URL(server.origin).port), '127.0.0.1').on('error', () => undefined);
    socket.on('data', (bytes) => (received += bytes.toString()));
    socket.write(text);
  };
  const statuses = (): string[] => received.match(/(?<=^HTTP\/1\.1 )\d{3}/gm) ?? [];
  const HEAD = 'POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n';

  test('a connection whose body comes in many pieces is read once in a turn, and the body arrives whole', async () => {
    const pieces = new PerTurn();
    handle = (request, response) => {
      request.on('data', () => pieces.add()).on('end', () => response.end());
    };
    send(`${HEAD}${CHUNK.repeat(16_384)}0\r\n\r\n`);
    await until(() => statuses().length === 1);
    expect(statuses()).toEqual(['200']);
    expect(pieces.all).toBe(16_384);
    expect(pieces.most).toBeLessThan(MAX_IN_READ);
  });

  test('a body in too many small pieces is answered with 413, and its connection closed without reading the rest', async () => {
    let pieces = 0;
    handle = (request) => void request.on('data', () => pieces++);
    send(HEAD + CHUNK.repeat(200_000));
    await once(socket, 'close');
    expect(statuses()).toEqual(['413']);
    expect(received).toContain('16384 pieces');
    expect(pieces).toBeLessThan(16_384 + MAX_IN_READ);
    expect(server.unreadable).toBe(1);
  });

  test('a body in as many pieces of 256 bytes is read to its end', async () => {
    handle = (request, response) => void request.resume().on('end', () => response.end());
    send(`${HEAD}${`100\r\n${'x'.repeat(256)}\r\n`.repeat(20_000)}0\r\n\r\n`);
    await until(() => statuses().length === 1);
    expect(statuses()).toEqual(['200']);
  });

  test('a connection whose answered request has a body in too many small pieces is closed without a second answer', async () => {
    handle = (_request, response) => {
      response.writeHead(401).end();
    };
    send(HEAD + CHUNK.repeat(200_000));
    await once(socket, 'close');
    expect(statuses()).toEqual(['401']);
    expect(server.unreadable).toBe(1);
  });

  test('of many requests that come in one piece, one is handled in a turn', async () => {
    const requests = new PerTurn();
    handle = (_request, response) => {
      requests.add();
      response.end();
    };
    send('GET / HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(400));
    await until(() => statuses().length === 400);
    // The first is handled as it comes.
    expect(requests.most).toBeLessThanOrEqual(2);
  });

  test('a chunk with 16 KiB of extensions is answered with 413', async () => {
    handle = (request) => void request.resume();
    send(`${HEAD}1;${'a'.repeat(17_000)}\r\n`);
    await once(socket, 'close');
    expect(statuses()).toEqual(['413']);
  });
});

test('of large bodies that arrive at once, one is handed on in each turn, and small ones are not delayed', async () => {
  const read = readBody(new ArrivingBytes());
  const large = new PerTurn();
  const body = (bytes: number, next: () => void): void => {
    const request = Object.assign(Readable.from([Buffer.alloc(bytes)]), { headers: {} });
    void read(request as unknown as RoutedRequest, {} as unknown as ServerResponse, next);
  };
  let largeBeforeSmall = 0;
  for (let index = 0; index < 20; index++) body(32 * 1024, () => large.add());
  body(1000, () => (largeBeforeSmall = large.all + 1));
  await until(() => large.all === 20);
  // The count of a turn may be taken behind the next one's first.
  expect(large.most).toBeLessThanOrEqual(2);
  expect(largeBeforeSmall).toBeGreaterThan(0);
  expect(largeBeforeSmall).toBeLessThan(20);
});

describe('a WebSocket', () => {
  class FakeWebSocket extends EventEmitter {
    isPaused = false;
    pause(): void {
      this.isPaused = true;
    }
    resume(): void {
      this.isPaused = false;
    }
  }
  let webSocket: FakeWebSocket;
  beforeEach(() => {
    webSocket = new FakeWebSocket();
  });
  const answers = new PerTurn();
  const incoming = (): IncomingMessages => {
    const reading = new IncomingMessages(webSocket as unknown as WebSocket, { room: 1 } as Connection, () => {
      answers.add();
      return Promise.resolve(undefined);
    });
    reading.start();
    return reading;
  };

  test('of many messages in one read of a WebSocket, 64 are answered in each turn, and nothing is read meanwhile', async () => {
    incoming();
    for (let index = 0; index < 1000; index++) webSocket.emit('message', Buffer.from('{}'), false);
    expect(webSocket.isPaused).toBe(true);
    await until(() => answers.all === 1000);
    expect(answers.most).toBeLessThanOrEqual(64);
    await until(() => !webSocket.isPaused);
  });

  test('a large message on a WebSocket is answered in a turn of its own', async () => {
    const before = answers.all;
    incoming();
    webSocket.emit('message', Buffer.alloc(32 * 1024), false);
    expect(answers.all).toBe(before);
    await until(() => answers.all === before + 1);
  });

  test('a WebSocket is not read again in the turn of a large read, but after a small one it is', async () => {
    const reading = incoming();
    reading.wasRead(1000);
    expect(webSocket.isPaused).toBe(false);
    reading.wasRead(64 * 1024);
    reading.go();
    expect(webSocket.isPaused).toBe(true);
    await turn();
    await until(() => !webSocket.isPaused);
  });

  test('a WebSocket that is closing pauses after a large read too', async () => {
    const socket = new EventEmitter();
    restBetweenReads(webSocket as unknown as WebSocket, socket as unknown as Socket);
    socket.emit('data', Buffer.alloc(1000));
    expect(webSocket.isPaused).toBe(false);
    socket.emit('data', Buffer.alloc(64 * 1024));
    expect(webSocket.isPaused).toBe(true);
    await until(() => !webSocket.isPaused);
  });
});
