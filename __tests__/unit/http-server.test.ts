import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { expect, test } from '@jest/globals';
import { HttpServer } from '../../src/http/server.ts';
import { handshakeBytes } from '../support/raw-socket.ts';
import { until } from '../support/until.ts';

/** A client that keeps what comes. */
async function client(origin: string, request: string): Promise<{ socket: Socket; received: () => string }> {
  const socket = connect(Number(new URL(origin).port), '127.0.0.1').setEncoding('utf8');
  let received = '';
  socket.on('data', (text: unknown) => (received += text as string)).on('error', () => undefined);
  await once(socket, 'connect');
  socket.write(request);
  return { socket, received: () => received };
}

test('requests and handshakes that come before the server serves wait, and each is handed on once, in order', async () => {
  const server = await HttpServer.listen('127.0.0.1', 0, 10);
  const handshake = await client(server.origin, handshakeBytes('/ws'));
  const request = await client(server.origin, 'GET /messages HTTP/1.1\r\nHost: localhost\r\n\r\n');
  // Bytes that are no request are answered at once, and by then the others have been read.
  const probe = await client(server.origin, 'nonsense\r\n\r\n');
  await once(probe.socket, 'close');
  expect(handshake.received() + request.received()).toBe('');

  const came: string[] = [];
  server.serve((incoming, response, upgrade) => {
    came.push(`${upgrade === undefined ? 'request' : 'handshake'} ${incoming.url ?? ''}`);
    if (upgrade === undefined) response.end('served');
    else upgrade.socket.write('taken over');
  });
  await until(() => request.received().endsWith('served') && handshake.received() === 'taken over');
  expect(came).toEqual(['handshake /ws', 'request /messages']);

  // A connection that was taken over is none of node:http's, and is cut with the others all the same.
  const closed = once(handshake.socket, 'close');
  await server.close(10);
  await closed;
  request.socket.destroy();
});

test('a connection is kept for longer than proxies keep theirs, but not if few are left', async () => {
  const server = await HttpServer.listen('127.0.0.1', 0, 6);
  server.serve((_request, response) => response.end('served'));
  const opened: Socket[] = [];
  /** For how many seconds the answer to another one says that its connection is kept. */
  const ask = async (): Promise<number> => {
    const { socket, received } = await client(server.origin, 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
    opened.push(socket);
    await until(() => received().endsWith('served'));
    return Number(/^Keep-Alive: timeout=(\d+)/im.exec(received())?.[1]);
  };
  const kept: number[] = [];
  while (opened.length < 6) kept.push(await ask());
  expect(kept).toEqual([75, 75, 75, 75, 5, 5]);
  const closed = opened.splice(0).map(async (socket) => {
    socket.destroy();
    await once(socket, 'close');
  });
  await Promise.all(closed);
  // The server is told of it a moment later.
  await until(async () => {
    const seconds = await ask();
    opened.pop()?.destroy();
    return seconds === 75;
  });
  await server.close(10);
});
