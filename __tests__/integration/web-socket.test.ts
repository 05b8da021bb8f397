import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { get, request, send } from '../support/api.ts';
import { expectProblem } from '../support/problems.ts';
import { exchange, rawRequest } from '../support/raw.ts';
import {
  ACCEPT,
  BINARY,
  CLOSE,
  clientFrame,
  handshakeBytes,
  PING,
  PONG,
  RawSocket,
  TEXT,
} from '../support/raw-socket.ts';
import { Publisher } from '../support/publisher.ts';
import { cleanUp, Server } from '../support/server.ts';
import { SocketDevice } from '../support/socket-device.ts';
import { testWithTool } from '../support/tool.ts';
import { until } from '../support/until.ts';

const FIN = 0x80;
const MAX_BYTES = 4 * 1024 * 1024;

let server: Server;
beforeAll(async () => {
  server = await Server.start({ env: { LOG_LEVEL: 'debug' } });
});
afterAll(cleanUp);

/** A socket that is live. */
async function open(query = 'recipient=bob', { port } = server): Promise<RawSocket> {
  const socket = await RawSocket.open(port, query);
  await socket.waitFor('live');
  return socket;
}

const draft = (content: unknown, ref: string): string =>
  JSON.stringify({ publish: { recipient: 'nobody', content }, ref });

/** Waits for the answer to a publish. */
async function published(socket: RawSocket, ref: string): Promise<unknown> {
  const find = (): (typeof socket.said)[number] | undefined =>
    socket.said.find((event) => (event as { ref?: string }).ref === ref);
  await until(() => find() !== undefined, `an answer to ${ref}`);
  expect(find()?.event).toBe('published');
  return (find()?.data as { content: unknown }).content;
}

describe('a handshake', () => {
  test('a handshake is answered with 101, and with nothing that was not asked for', async () => {
    const socket = await open();
    expect(socket.head.split('\r\n').sort()).toEqual([
      'Connection: Upgrade',
      'HTTP/1.1 101 Switching Protocols',
      `Sec-WebSocket-Accept: ${ACCEPT}`,
      'Upgrade: websocket',
    ]);
    socket.cut();
  });

  test('a handshake that offers compression and subprotocols gets neither', async () => {
    const headers = {
      'Sec-WebSocket-Extensions': 'permessage-deflate; client_max_window_bits',
      'Sec-WebSocket-Protocol': 'chat, superchat',
    };
    const socket = await RawSocket.open(server.port, 'recipient=bob', { headers });
    await socket.waitFor('live');
    expect(socket.head).not.toMatch(/^Sec-WebSocket-(Extensions|Protocol):/im);
    socket.cut();
  });

  test('a handshake may be followed at once by the first message', async () => {
    const behind = clientFrame(FIN | TEXT, draft('early', 'a'));
    const socket = await RawSocket.open(server.port, 'recipient=bob', { behind });
    expect(await published(socket, 'a')).toBe('early');
    socket.cut();
  });

  test.each<[string, number, Record<string, string>]>([
    ['of another version', 426, { 'Sec-WebSocket-Version': '8' }],
    ['of no version', 426, { 'Sec-WebSocket-Version': '' }],
    ['with a short key', 400, { 'Sec-WebSocket-Key': 'dGhl' }],
    ['without a key', 400, { 'Sec-WebSocket-Key': '' }],
    ['with a subprotocol that is no token', 400, { 'Sec-WebSocket-Protocol': 'a b' }],
    ['to another protocol', 426, { Upgrade: 'h2c' }],
    ['without Connection: Upgrade', 426, { Connection: 'close' }],
    ['whose request id is given', 400, { 'Sec-WebSocket-Key': '', 'X-Request-Id': 'mine-1' }],
  ])('a handshake %s is refused with %d', async (_what, status, headers) => {
    const answer = await exchange(server.port, (socket) =>
      socket.write(
        handshakeBytes('/ws?recipient=bob', { ...headers, Connection: headers['Connection'] ?? 'Upgrade' }),
      ),
    );
    expectProblem(answer, status, []);
    expect(answer.headers.get('x-request-id')).toMatch(headers['X-Request-Id'] ?? /^[\w-]{36}$/);
    expect(answer.headers.get('cache-control')).toBe('no-store');
    if (status === 426) {
      // RFC 9110 §15.5.22; RFC 6455 §4.4.
      expect(answer.headers.get('upgrade')).toBe('websocket');
      expect(answer.headers.get('sec-websocket-version')).toBe('13');
    }
  });

  test('a handshake is checked like the request of a stream, and its faults are named', async () => {
    for (const [query, path] of [
      ['', '/recipient'],
      ['recipient=$x', '/recipient'],
      ['recipient=bob&last=1001', '/last'],
      ['recipient=bob&limit=1', '/limit'],
      ['recipient=bob&presence=*', '/presence'],
    ]) {
      const answer = await SocketDevice.refused(server.url, query ?? '');
      expectProblem(answer, 400, [path ?? '']);
      expect(answer.headers.get('x-request-id')).toMatch(/^[\w-]{36}$/);
    }
  });

  test('a handshake is a GET: other methods are 405, and a plain GET is 426', async () => {
    for (const method of ['POST', 'PUT', 'DELETE', 'HEAD', 'PATCH']) {
      const answer = await request(`${server.url}/ws?recipient=bob`, { method });
      expect([method, answer.status, answer.headers.get('allow')]).toEqual([method, 405, 'GET']);
    }
    expect((await request(`${server.url}/ws`, { method: 'OPTIONS' })).headers.get('allow')).toBe('GET');
    expectProblem(await get(server.url, '/ws?recipient=bob'), 426, []);
  });

  test('a handshake behind an unanswered request is an ordinary request, and both are answered', async () => {
    const { head, text } = await exchange(server.port, (socket) =>
      socket.write(`GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n${handshakeBytes('/ws?recipient=bob')}`),
    );
    expect(head).toMatch(/^HTTP\/1\.1 200 /);
    expect(text).toContain('HTTP/1.1 426 ');
  });

  test('a client that resets its connection right after the handshake does no harm', async () => {
    for (let count = 0; count < 60; count++) {
      const socket = connect(server.port, '127.0.0.1');
      await once(socket, 'connect');
      socket.write(handshakeBytes(count % 2 === 0 ? '/ws?recipient=bob' : '/ws?x'));
      if (count % 3 === 0) await new Promise(setImmediate);
      socket.resetAndDestroy();
    }
    expect((await get(server.url, '/healthz')).status).toBe(200);
  });

  test('a handshake on a connection that has had an answer is accepted', async () => {
    const socket = connect(server.port, '127.0.0.1').setEncoding('utf8');
    let received = '';
    socket.on('data', (text: unknown) => (received += text as string));
    socket.write('GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n');
    await until(() => received.includes('"ok"'));
    socket.write(handshakeBytes('/ws?recipient=bob'));
    await until(() => received.includes('"event":"live"'));
    socket.destroy();
  });

  test('a handshake on another path, or to another protocol, is served as a plain request with its body', async () => {
    const upgrade = { Connection: 'Upgrade, close', Upgrade: 'h2c', 'HTTP2-Settings': 'AAMAAABkAAQAAP__' };
    const body = '{"recipient":"nobody","content":"by h2c"}';
    for (const protocol of ['h2c', 'websocket']) {
      const headers = { ...upgrade, Upgrade: protocol, 'Content-Type': 'application/json' };
      const answer = await rawRequest(server.port, { method: 'POST', path: '/messages', headers, body });
      expect([answer.status, (answer.body as { content: string }).content]).toEqual([201, 'by h2c']);
      expect((await rawRequest(server.port, { path: '/healthz', headers })).body).toEqual({ status: 'ok' });
    }
  });

  testWithTool('curl', 'curl')('curl --http2 is served as a plain request', async () => {
    const data = ['-d', 'recipient=nobody', '-d', 'content=hi', `${server.url}/messages`];
    const { stdout } = await promisify(execFile)('curl', ['-s', '--http2', ...data]);
    expect(stdout).toContain('"content":"hi"');
  });
});

describe('messages of a client', () => {
  test('messages of a client are read with any mask, and with any of the three forms of length', async () => {
    const socket = await open();
    const lengths = [1, 125 - draft('', 'x').length, 126, 4000, 48_000];
    for (const [index, length] of lengths.entries()) {
      const ref = String(index);
      socket.write(clientFrame(FIN | TEXT, draft('y'.repeat(length), ref), [0x81, 0, 0xff, 7 * index]));
      expect(await published(socket, ref)).toBe('y'.repeat(length));
    }
    const long = { recipient: 'nobody', content: 'z'.repeat(40_000) };
    socket.write(clientFrame(FIN | TEXT, JSON.stringify({ publish: [long, long, long], ref: 'long' })));
    await published(socket, 'long');
    socket.cut();
  });

  test('a message of a client may come in fragments, with a ping between them, and byte by byte', async () => {
    const socket = await open();
    const bytes = Buffer.from(draft('in fragments: é 🙂', 'f'));
    const parts = Array.from(bytes, (byte) => Buffer.from([byte]));
    const frames = parts.map((part, index) =>
      clientFrame((index === 0 ? TEXT : 0) | (index === parts.length - 1 ? FIN : 0), part),
    );
    frames.splice(5, 0, clientFrame(FIN | PING, 'between'));
    const all = Buffer.concat(frames);
    for (let at = 0; at < all.length; at += 3) {
      socket.write(all.subarray(at, at + 3));
      await new Promise(setImmediate);
    }
    expect(await published(socket, 'f')).toBe('in fragments: é 🙂');
    await until(() => socket.of(PONG).length === 1);
    expect(socket.of(PONG)[0]?.payload.toString()).toBe('between');
    socket.cut();
  });

  test('only the newest of the pings that come together is answered', async () => {
    const socket = await open();
    const pings = Array.from({ length: 1000 }, (_, index) => clientFrame(FIN | PING, String(index)));
    socket.write(Buffer.concat(pings));
    const newest = (): string | undefined => socket.of(PONG).at(-1)?.payload.toString();
    await until(() => newest() === '999');
    expect(socket.of(PONG).length).toBeLessThan(10);
    socket.cut();
  });

  test.each<[string, number, Uint8Array]>([
    ['a frame without a mask', 1002, Buffer.from([FIN | TEXT, 2, 0x7b, 0x7d])],
    ['a reserved bit (compression that nobody agreed on)', 1002, clientFrame(FIN | 0x40 | TEXT, '{}')],
    ['another reserved bit', 1002, clientFrame(FIN | 0x20 | TEXT, '{}')],
    ['a reserved opcode', 1002, clientFrame(FIN | 0x3, '{}')],
    ['a continuation of nothing', 1002, clientFrame(FIN, '{}')],
    ['a ping in fragments', 1002, clientFrame(PING, '')],
    ['a ping of 126 bytes', 1002, clientFrame(FIN | PING, 'x'.repeat(126))],
    ['a close frame with a code that is none', 1002, clientFrame(FIN | CLOSE, Buffer.from([0, 1]))],
    ['a binary message', 1003, clientFrame(FIN | BINARY, '{}')],
    ['text that is not UTF-8', 1007, clientFrame(FIN | TEXT, Buffer.from([0xff]))],
    [
      'more than 4 MiB, by its header',
      1009,
      clientFrame(FIN | TEXT, 'x'.repeat(MAX_BYTES + 1)).subarray(0, 20),
    ],
    [
      'more than 4 MiB, in fragments',
      1009,
      Buffer.concat([clientFrame(TEXT, 'x'.repeat(MAX_BYTES)), clientFrame(FIN, 'x')]),
    ],
  ])('a client that sends %s has its socket closed with %d', async (_what, code, bytes) => {
    const socket = await open();
    socket.write(bytes);
    await until(() => socket.closeCode !== undefined, 'a close frame');
    expect(socket.closeCode).toBe(code);
    await socket.waitForEnd();
    // Nobody else has noticed.
    expect((await get(server.url, '/healthz')).status).toBe(200);
    expect(server.stderr).not.toMatch(/"level":[56]0/);
  });

  test('a message of a client of 4 MiB is read', async () => {
    const socket = await open();
    const text = JSON.stringify({ publish: { recipient: 'nobody', content: 1 }, ref: 'whole' });
    socket.write(clientFrame(FIN | TEXT, text.padEnd(MAX_BYTES)));
    expect(await published(socket, 'whole')).toBe(1);
    socket.cut();
  });
});

describe('the end of a socket', () => {
  test('a close by the client is answered with its code, and the device is gone', async () => {
    const device = await SocketDevice.open(server.url, 'recipient=leaver');
    await device.waitFor('live');
    device.socket.close(1000, 'done');
    await device.waitForEnd();
    expect(device.close).toEqual({ code: 1000, reason: 'done' });
    const presence = async (): Promise<unknown> =>
      ((await get(server.url, '/presence?recipient=leaver')).body as { leaver: unknown }).leaver;
    await until(async () => ((await presence()) as { devices: number }).devices === 0);
  });

  test.each<[string, number, Uint8Array]>([
    ['the client closed', 1000, clientFrame(FIN | CLOSE, Buffer.from([0x03, 0xe8]))],
    ['the client is closed, and does not answer', 1003, clientFrame(FIN | BINARY, 'x')],
  ])(
    'a socket sends nothing behind its close frame, though messages come all the time: %s',
    async (_what, code, frame) => {
      const socket = await open('recipient=busy');
      const publishers = Publisher.several(4, server.url, 'busy');
      await socket.waitForMessages(100);
      socket.write(frame);
      await until(() => socket.closeCode !== undefined);
      const { length } = socket.ids;
      await socket.waitForEnd();
      await Promise.all(publishers.map((publisher) => publisher.end()));
      expect(socket.closeCode).toBe(code);
      expect(socket.ids).toHaveLength(length);
    },
  );

  test.each<[string, (socket: RawSocket) => void]>([
    ['closes its side without a word', (socket) => void socket.socket.end()],
    [
      'closes, and keeps its side open',
      (socket) => socket.write(clientFrame(FIN | CLOSE, Buffer.from([0x03, 0xe8]))),
    ],
    ['is closed, and does not answer', (socket) => socket.write(clientFrame(FIN | BINARY, 'x'))],
  ])('a socket ends and frees its device if the client %s', async (_what, write) => {
    // Without pings, which would end it too.
    const patient = await Server.start({ env: { HEARTBEAT_SECONDS: '3600' } });
    const socket = await RawSocket.open(patient.port, 'recipient=half', { allowHalfOpen: true });
    await socket.waitFor('live');
    const present = async (): Promise<boolean> =>
      JSON.stringify((await get(patient.url, '/presence?recipient=half')).body).includes('"devices":1');
    expect(await present()).toBe(true);
    write(socket);
    // The descriptor is given back though the client never closes.
    await until(async () => !(await present()), 'the device to be gone');
    socket.cut();
    await patient.kill();
  });
});

describe('a quiet socket', () => {
  let beating: Server;
  beforeAll(async () => {
    beating = await Server.start({ env: { HEARTBEAT_SECONDS: '1', LOG_LEVEL: 'debug' } });
  });

  test('a quiet socket gets heartbeats, which a page sees, and pings, which its browser answers', async () => {
    const socket = await open('recipient=quiet', beating);
    await until(() => socket.of(PING).length >= 2);
    await until(() => socket.said.filter(({ event }) => event === 'heartbeat').length >= 2);
    const heartbeat = await socket.waitFor('heartbeat');
    expect(Object.keys(heartbeat)).toEqual(['event', 'data']);
    expect(heartbeat.data).toEqual({ type: 'heartbeat', at: expect.any(String) });
    for (const ping of socket.of(PING)) expect(ping.bytes).toEqual(Buffer.from([FIN | PING, 0]));
    socket.cut();
  });

  test('a quiet socket is cut if its peer answers none of four pings, and stays if it does', async () => {
    const frozen = await open('recipient=frozen', beating);
    const alive = await SocketDevice.open(beating.url, 'recipient=alive');
    await frozen.waitForEnd();
    expect(frozen.of(PING)).toHaveLength(4);
    // It was not there to shake hands.
    expect(frozen.closeCode).toBeUndefined();
    await until(() => beating.stderr.includes('"reason":"stalled"'));
    const pings = once(alive.socket, 'ping');
    await pings;
    expect(alive.closed).toBe(false);
    alive.cut();
  });

  test('a quiet socket whose peer sends anything at all is not cut', async () => {
    const socket = await open('recipient=talker', beating);
    for (let heard = 1; heard <= 6; heard++) {
      await until(() => socket.of(PING).length >= heard);
      socket.write(clientFrame(FIN | PING, 'still here'));
    }
    expect(socket.closed).toBe(false);
    socket.cut();
  });
});

test('a socket is logged as a stream is', async () => {
  const device = await SocketDevice.open(server.url, 'recipient=bob', {
    headers: { 'X-Request-Id': 'ws-1' },
  });
  await device.waitFor('live');
  await send(server.url, 'bob', 1);
  await device.waitForMessages(1);
  device.socket.close();
  const lines = (): Record<string, unknown>[] =>
    server.stderr
      .split('\n')
      .filter((line) => line.includes('"ws-1"'))
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  await until(() => lines().length === 2);
  const common = { requestId: 'ws-1', method: 'GET', path: '/ws', client: '127.0.0.1' };
  expect(lines()).toMatchObject([
    { ...common, msg: 'a stream was opened' },
    { ...common, msg: 'a stream was closed', reason: 'client', messages: 1 },
  ]);
});
