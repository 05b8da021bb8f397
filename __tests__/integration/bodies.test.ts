import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { get, publish, request } from '../support/api.ts';
import { residentBytes } from '../support/memory.ts';
import { expectProblem } from '../support/problems.ts';
import { exchange, type RawAnswer, rawPublish, rawRequest, requestBytes } from '../support/raw.ts';
import { clientFrame, RawSocket, TEXT } from '../support/raw-socket.ts';
import { cleanUp, Server, undoAtEnd } from '../support/server.ts';
import { bearer, SECRET, secondsFromNow, tokenFor } from '../support/tokens.ts';
import { until } from '../support/until.ts';

const MEBIBYTE = 1024 * 1024;
const MESSAGE = '{"recipient":"bob","content":"hi"}';

let server: Server;
beforeAll(async () => (server = await Server.start()));
afterAll(cleanUp);

const HEAD =
  'POST /messages HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Type: application/json\r\n';

/** Sends a beginning, then pieces as fast as they are taken, until `isEnough`, and then an end. */
async function upload(pieces: Iterable<string>, isEnough: () => boolean = () => false): Promise<RawAnswer> {
  return exchange(server.port, (socket: Socket) => {
    socket.write(`${HEAD}Transfer-Encoding: chunked\r\n\r\n`);
    void (async () => {
      for (const piece of pieces) {
        if (socket.destroyed || isEnough()) break;
        if (!socket.write(piece)) await new Promise((resolve) => socket.once('drain', resolve));
      }
      socket.write('0\r\n\r\n');
    })();
  });
}

describe('a body', () => {
  test('a body takes memory for its bytes, in however many pieces they come; one of more than 16,384 small pieces is 413', async () => {
    const before = residentBytes(server.pid);
    let most = 0;
    const pieces = function* (perWrite: number): Generator<string> {
      // Bytes of a chunk each: 400,000 as objects of their own would take more than a hundred mebibytes.
      for (let count = 0; count < 40; count++) {
        yield '1\r\n \r\n'.repeat(perWrite);
        most = Math.max(most, residentBytes(server.pid));
      }
      yield `${MESSAGE.length.toString(16)}\r\n${MESSAGE}\r\n`;
    };
    expect((await upload(pieces(400))).status).toBe(201);
    expectProblem(await upload(pieces(10_000)), 413, []);
    expect(most - before).toBeLessThan(60 * MEBIBYTE);
  });

  test('a body of exactly 4 MiB is accepted, in one piece or in many; one byte more is 413', async () => {
    for (const [length, status] of [
      [4 * MEBIBYTE, 201],
      [4 * MEBIBYTE + 1, 413],
    ] as const) {
      const text = MESSAGE.padEnd(length);
      expect((await rawPublish(server.port, text)).status).toBe(status);
      const chunk = 100_000;
      const pieces = Array.from({ length: Math.ceil(length / chunk) }, (_, index) => {
        const piece = text.slice(index * chunk, (index + 1) * chunk);
        return `${piece.length.toString(16)}\r\n${piece}\r\n`;
      });
      expect((await upload(pieces)).status).toBe(status);
      const compressed = { 'Content-Encoding': 'br' };
      expect((await rawPublish(server.port, brotliCompressSync(text), compressed)).status).toBe(status);
    }
  });

  test.each([
    ['gzip', gzipSync],
    ['GZIP', gzipSync],
    ['x-gzip', gzipSync],
    ['deflate', deflateSync],
    ['br', brotliCompressSync],
  ])(
    'a body may be compressed (%s); one that is cut short, or has something behind its end, is 400',
    async (coding, compress) => {
      const bytes = compress(MESSAGE);
      const send = (body: Buffer) => rawPublish(server.port, body, { 'Content-Encoding': coding });
      expect((await send(bytes)).status).toBe(201);
      for (let length = 1; length < bytes.length; length += 5) {
        expectProblem(await send(bytes.subarray(0, length)), 400, []);
      }
      expectProblem(await send(Buffer.concat([bytes, Buffer.from('behind')])), 400, []);
      expectProblem(await send(Buffer.from(MESSAGE)), 400, []);
    },
  );

  test('a body in another coding is 415', async () => {
    for (const coding of ['zstd', 'gzip, gzip', 'compress', 'x']) {
      expectProblem(await rawPublish(server.port, MESSAGE, { 'Content-Encoding': coding }), 415, []);
    }
  });

  test('a body that would be huge when decompressed is 413, also if many come at once', async () => {
    const bombs = [
      gzipSync(Buffer.alloc(64 * MEBIBYTE, ' ')),
      brotliCompressSync(Buffer.alloc(64 * MEBIBYTE, ' ')),
    ];
    const before = residentBytes(server.pid);
    const answers = await Promise.all(
      Array.from({ length: 24 }, (_, index) =>
        rawPublish(server.port, bombs[index % 2] as Buffer, {
          'Content-Encoding': index % 2 === 0 ? 'gzip' : 'br',
        }),
      ),
    );
    for (const answer of answers) expectProblem(answer, 413, []);
    expect(residentBytes(server.pid) - before).toBeLessThan(150 * MEBIBYTE);
  });

  test('a client whose request is answered while its body still arrives has the time to read the answer', async () => {
    const body = Buffer.alloc(16 * MEBIBYTE, 'x');
    // It reads nothing before all is sent.
    const socket = connect(server.port, '127.0.0.1').pause();
    await once(socket, 'connect');
    const bytes = requestBytes({ method: 'GET', path: '/healthz', body });
    await new Promise<void>((resolve, reject) => {
      socket.on('error', reject).write(bytes, () => resolve());
    });
    expect(await text(socket)).toMatch(/^HTTP\/1\.1 200 /);
  });

  test('a body that breaks off in the middle causes no error of the service', async () => {
    for (const length of [0, 1, 1000]) {
      const socket = connect(server.port, '127.0.0.1');
      socket.write(`${HEAD}Content-Length: 2000\r\n\r\n${'x'.repeat(length)}`);
      await sleep(20);
      socket.destroy();
    }
    expect((await get(server.url, '/healthz')).status).toBe(200);
    expect(server.stderr).not.toMatch(/"level":(50|60)/);
  });
});

test('large bodies that drip take at most 64 MiB in all: the oldest are refused, and other publishes succeed', async () => {
  const bytes = 4 * MEBIBYTE;
  const before = residentBytes(server.pid);
  const answers: string[] = [];
  const drips = Array.from({ length: 40 }, () => {
    const socket = connect(server.port, '127.0.0.1').on('error', () => undefined);
    undoAtEnd(() => socket.destroy());
    socket.on('data', (answer) => answers.push(answer.toString('latin1')));
    socket.write(`${HEAD}Content-Length: ${bytes}\r\n\r\n${'x'.repeat(bytes - 1)}`);
    return socket;
  });
  await until(() => answers.length >= 24, 'the refusals of those that do not fit');
  for (const answer of answers) expect(answer).toMatch(/^HTTP\/1\.1 503 [^]*"stored":"no"/);
  expect((await publish(server.url, { recipient: 'bob', content: 'small' })).status).toBe(201);
  const batch = Array.from({ length: 80 }, () => ({ recipient: 'bob', content: 'x'.repeat(40_000) }));
  expect((await publish(server.url, batch)).status).toBe(201);
  expect(residentBytes(server.pid) - before).toBeLessThan(300 * MEBIBYTE);
  for (const socket of drips) socket.destroy();
});

test('large WebSocket messages that drip take at most 64 MiB in all, and other publishes succeed', async () => {
  const bytes = 4 * MEBIBYTE;
  const frame = clientFrame(0x80 | TEXT, Buffer.alloc(bytes, 'x'));
  const sockets: RawSocket[] = [];
  for (let count = 0; count < 24; count++) {
    const socket = await RawSocket.open(server.port, 'recipient=bob');
    undoAtEnd(() => socket.cut());
    await socket.waitFor('live');
    socket.write(frame.subarray(0, frame.length - 1));
    sockets.push(socket);
  }
  await until(() => sockets.filter(({ closed }) => closed).length >= 9, 'the end of those that do not fit');
  expect(sockets.at(-1)?.closed).toBe(false);
  sockets.at(-1)?.write(frame.subarray(frame.length - 1));
  await until(() => sockets.at(-1)?.said.some(({ event }) => event === 'refused') === true);
  expect((await publish(server.url, { recipient: 'bob', content: 'small' })).status).toBe(201);
  for (const socket of sockets) socket.cut();
});

test('a token that expires while the body arrives is 401, and nothing is stored', async () => {
  const strict = await Server.start({ env: { AUTH_SECRET: SECRET } });
  const exp = secondsFromNow(2);
  const token = await tokenFor('al', { sendTo: ['bob'] }, { exp });
  const slowly = ([method, path, body]: readonly [string, string, string]): Promise<RawAnswer> => {
    const headers = { 'Content-Type': 'application/json', ...bearer(token) };
    const bytes = requestBytes({ method, path, headers, body });
    return exchange(strict.port, (socket) => {
      socket.write(bytes.subarray(0, bytes.length - 1));
      setTimeout(() => socket.write(bytes.subarray(bytes.length - 1)), exp * 1000 - Date.now() + 100);
    });
  };
  const requests = [
    ['POST', '/messages', MESSAGE],
    ['POST', '/push-subscriptions', '{"recipient":"al","subscription":{}}'],
    ['DELETE', '/push-subscriptions', '{"endpoint":"https://fcm.googleapis.com/x"}'],
  ] as const;
  for (const answer of await Promise.all(requests.map(slowly))) {
    expectProblem(answer, 401, []);
    expect(answer.headers.get('www-authenticate')).toContain('invalid_token');
  }
  const reader = bearer(await tokenFor('bob'));
  expect((await request(`${strict.url}/messages`, { headers: reader })).body).toMatchObject({ messages: [] });
});

describe('the framing of a request', () => {
  const ask = (line: string, headers: string) =>
    exchange(server.port, (socket) =>
      socket.write(
        `${line}\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n${headers}\r\n22\r\n${MESSAGE}\r\n0\r\n\r\n`,
      ),
    );

  test.each([
    ['POST /messages HTTP/1.1', 'Transfer-Encoding: gzip, chunked\r\n', 501],
    ['POST /messages HTTP/1.1', 'Transfer-Encoding: chunked, chunked\r\n', 400],
    ['POST /messages HTTP/1.1', 'Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n', 501],
    ['POST /messages HTTP/1.1', 'Transfer-Encoding: gzip\r\n', 400],
    ['POST /messages HTTP/1.0', 'Transfer-Encoding: chunked\r\n', 400],
    ['POST /messages HTTP/2.0', 'Transfer-Encoding: chunked\r\n', 400],
    ['GET /healthz HTTP/0.9', '', 400],
    ['GET /healthz HTTP/2.0', '', 400],
    ['GET /stream?recipient=bob HTTP/2.0', '', 400],
    ['GET /ws?recipient=bob HTTP/2.0', 'Connection: Upgrade\r\nUpgrade: websocket\r\n', 400],
    [
      'GET /ws?recipient=bob HTTP/1.1',
      'Connection: Upgrade\r\nUpgrade: websocket\r\nTransfer-Encoding: gzip, chunked\r\n',
      501,
    ],
    [
      'GET /ws?recipient=bob HTTP/1.1',
      'Connection: Upgrade\r\nUpgrade: websocket\r\nTransfer-Encoding: chunked\r\n',
      426,
    ],
  ])('unknown framing is refused, and the connection is closed: %s, %j', async (line, headers, status) => {
    const log = server.stderr;
    const answer = await ask(line, headers);
    expectProblem(answer, status, []);
    expect(answer.headers.get('connection')).toMatch(/close/);
    expect(server.stderr).toBe(log);
  });

  test('a request with the coding chunked alone is accepted, in lower or upper case', async () => {
    for (const coding of ['chunked', 'Chunked', 'CHUNKED']) {
      const answer = await exchange(server.port, (socket) =>
        socket.write(`${HEAD}Transfer-Encoding: ${coding}\r\n\r\n22\r\n${MESSAGE}\r\n0\r\n\r\n`),
      );
      expect(answer.status).toBe(201);
    }
    expect((await rawRequest(server.port, { path: '/healthz', version: '1.0' })).status).toBe(200);
  });
});
