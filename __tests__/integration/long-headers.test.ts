import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { get, publish } from '../support/api.ts';
import { LONGEST, LONGEST_QUERY, queryOf } from '../support/long-addresses.ts';
import { residentBytes } from '../support/memory.ts';
import { expectProblem } from '../support/problems.ts';
import { exchange, rawRequest, type RawRequest } from '../support/raw.ts';
import { cleanUp, Server } from '../support/server.ts';
import { SocketDevice } from '../support/socket-device.ts';
import { DeviceStream } from '../support/stream.ts';
import { until } from '../support/until.ts';

afterAll(cleanUp);

const MIB = 1024 * 1024;

const fieldsOf = (count: number): Record<string, string> =>
  Object.fromEntries(Array.from({ length: count }, (_, index) => [`x-${index}`, '']));

describe('a header', () => {
  let server: Server;
  beforeAll(async () => {
    server = await Server.start();
  });

  test('a header has room for as many addresses as are allowed, each as long as is allowed, on each path', async () => {
    const [stream, socket] = await Promise.all([
      DeviceStream.open(server.url, LONGEST_QUERY),
      SocketDevice.open(server.url, LONGEST_QUERY),
    ]);
    await Promise.all([stream.waitFor('live'), socket.waitFor('live')]);
    const recipient = LONGEST[99];
    const stored = await publish(server.url, { recipient, content: 'hi' });
    expect(await stream.waitForMessages(1)).toEqual([stored.body]);
    expect(await socket.waitForMessages(1)).toEqual([stored.body]);
    // With a cursor in the query and fields of 16 KiB beside it.
    const again = await DeviceStream.open(server.url, `${LONGEST_QUERY}&lastEventId=0&last=1000`, {
      headers: { 'X-Long': 'x'.repeat(16_000) },
    });
    expect(await again.waitForMessages(1)).toEqual([stored.body]);
    for (const device of [stream, again]) device.cut();
    socket.socket.close();

    const addresses = queryOf('recipient', LONGEST.slice(0, 100));
    expect((await get(server.url, `/messages?${addresses}`)).body).toMatchObject({ messages: [stored.body] });
    const present = await get(server.url, `/presence?${addresses}`);
    expect(Object.keys(present.body as object)).toEqual(LONGEST.slice(0, 100));
    expect((await get(server.url, `/presence?${LONGEST_QUERY}`)).status).toBe(400);
  });

  test('a header whose fields take more than 16 KiB is 431, as is one of more than 320 KiB', async () => {
    const headers = { 'X-Long': 'x'.repeat(16_384) };
    expectProblem(await rawRequest(server.port, { path: '/healthz', headers }), 431, []);
    const path = `/healthz?${'x'.repeat(320 * 1024)}`;
    expectProblem(await rawRequest(server.port, { path }), 431);
  });

  test.each<[string, RawRequest, number]>([
    ['target is long', { path: `/healthz?${'x'.repeat(70_000)}` }, 400],
    ['field is long', { path: '/healthz', headers: { 'X-Long': 'x'.repeat(70_000) } }, 431],
    ['fields are many', { path: '/healthz', headers: fieldsOf(10_000) }, 431],
  ])('a header whose %s ends its connection after the answer', async (_, request, status) => {
    const headers = { ...request.headers, Connection: 'keep-alive' };
    const answer = await rawRequest(server.port, { ...request, headers });
    expect(answer.status).toBe(status);
    expect(answer.headers.get('connection')).toBe('close');
  });

  test('trailers that are long end their connection after the answer', async () => {
    const start = 'GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n';
    const answer = await exchange(server.port, (socket) =>
      socket.write(`${start}X-Long: ${'x'.repeat(70_000)}\r\n\r\n`),
    );
    expect(answer.status).toBe(200);
  });

  test('a header with a long path and many unknown parameters gets a short refusal', async () => {
    const names = Array.from({ length: 300 }, (_, index) => `x${index}`);
    const path = `/messages/${'1'.repeat(250_000)}?${names.join('&')}`;
    const answer = await rawRequest(server.port, { path });
    expect(answer.status).toBe(400);
    expect(answer.text.length).toBeLessThan(50_000);
  });

  test('a header with more than a thousand parameters is 400', async () => {
    const answer = await rawRequest(server.port, { path: `/messages?${'recipient=a&'.repeat(1000)}` });
    expectProblem(answer, 400, []);
  });
});

const FORM = 'Host: 127.0.0.1\r\nContent-Type: application/x-www-form-urlencoded\r\n';

test.each([
  ['headers', 'GET /messages?', ['503']],
  // The request is under way: there is no place for an answer.
  [
    'trailers',
    `POST /messages HTTP/1.1\r\n${FORM}Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Long: `,
    [],
  ],
])('long %s that never end take at most 64 MiB, and others are served', async (_, start, told) => {
  const server = await Server.start();
  const before = residentBytes(server.pid);
  const HEADER = 300_000;
  const COUNT = 500;
  const answers: string[] = [];
  const sockets: Socket[] = [];
  let ended = 0;
  // In pieces: what comes faster than it is looked at takes room for as long as that.
  for (let index = 0; index < COUNT; index++) {
    const socket = connect(server.port, '127.0.0.1').setEncoding('latin1');
    sockets.push(socket);
    socket.on('error', () => undefined);
    socket.once('close', () => ended++);
    socket.once('data', (text: unknown) => answers.push((text as string).slice(9, 12)));
    socket.write(start + 'x'.repeat(HEADER));
    if (index % 50 === 0) await once(socket, 'connect').then(() => get(server.url, '/healthz'));
  }
  // Of trailers those are not counted that come together with the last chunk: 64 KiB are read at once.
  const mostKept = Math.floor((64 * MIB) / (HEADER - 64 * 1024));
  await until(() => ended >= COUNT - mostKept, 'the first ones to be refused');
  expect([...new Set(answers)]).toEqual(told);
  expect((await publish(server.url, { recipient: 'bob', content: 'hi' })).status).toBe(201);
  const device = await DeviceStream.open(server.url, LONGEST_QUERY);
  await device.waitFor('live');
  device.cut();
  expect(residentBytes(server.pid) - before).toBeLessThan(COUNT * HEADER + 50 * MIB);
  for (const socket of sockets) socket.destroy();
});
