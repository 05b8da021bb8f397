import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { expect, test } from '@jest/globals';
import { HttpServer } from '../../src/server.ts';
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

test('requests and handshakes that come before it serves wait, and each is handed on once, in order', async () => {
  const server = await HttpServer.listen('127.0.0.1', 0, 10);
  const handshake = await client(server.origin, handshakeBytes('/ws'));
  const request = await client(server.origin, 'GET /messages HTTP/1.1\r\nHost: localhost\r\n\r\n');
  // What is no request is answered at once, and by then the others have been read.
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
