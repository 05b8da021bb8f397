import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { RequestConnection } from '../../bench/client/connection.js';
import { until } from '../support/until.ts';

const REQUEST = Buffer.from('GET / HTTP/1.1\r\nHost: here\r\n\r\n');
const ANSWER = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

describe('a connection of the load client', () => {
  const server = createServer();
  const accepted: Socket[] = [];
  let onRequest: (socket: Socket) => void;
  let connection: RequestConnection;
  server.on('connection', (socket) => {
    accepted.push(socket);
    socket.on('data', () => onRequest(socket));
    socket.on('error', () => socket.destroy());
  });
  beforeEach(async () => {
    onRequest = (socket) => socket.write(ANSWER);
    accepted.length = 0;
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    connection = new RequestConnection((server.address() as AddressInfo).port);
    await connection.opened;
    await until(() => accepted.length === 1);
  });
  afterEach(async () => {
    connection.close();
    for (const socket of accepted) socket.destroy();
    server.close();
    await once(server, 'close');
  });

  const ask = (): Promise<Error | undefined> => new Promise((resolve) => connection.send(REQUEST, resolve));

  test('the load client uses a connection again and again', async () => {
    expect([await ask(), await ask()]).toEqual([undefined, undefined]);
    expect(accepted).toHaveLength(1);
  });

  test('the load client opens a new connection if the server closed the idle one, with or without a last answer', async () => {
    expect(await ask()).toBeUndefined();
    const [idle] = accepted;
    idle?.end('HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n');
    await until(() => idle?.destroyed === true);
    expect([await ask(), await ask()]).toEqual([undefined, undefined]);
    expect(accepted).toHaveLength(2);
  });

  test('the load client reports that the server closed a connection instead of answering', async () => {
    onRequest = (socket) => socket.destroy();
    expect((await ask())?.message).toBe('the server closed a connection');
  });

  test('the load client reports an answer that is no success', async () => {
    onRequest = (socket) => socket.write('HTTP/1.1 503 Service Unavailable\r\n\r\n');
    expect((await ask())?.message).toContain('503');
  });
});
