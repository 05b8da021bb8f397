import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { connect, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { HttpServer } from '../../src/http/server.ts';
import { handshakeBytes } from '../support/raw-socket.ts';
import { until } from '../support/until.ts';

const LOOK_MILLISECONDS = 40;
const MEBIBYTE = 1024 * 1024;

let server: HttpServer;
/** The requests that were handled, in order, and their answers. */
let handled: { path: string; request: IncomingMessage; response: ServerResponse }[];
let answer: (path: string, response: ServerResponse, request: IncomingMessage) => void;
let sockets: Socket[];
beforeEach(async () => {
  handled = [];
  sockets = [];
  answer = (path, response) => response.end(path);
  server = await HttpServer.listen('127.0.0.1', 0, 100, { lookMilliseconds: LOOK_MILLISECONDS });
  server.serve((request, response) => {
    const path = request.url ?? '';
    handled.push({ path, request, response });
    answer(path, response, request);
  });
});
afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  await server.close(10);
});

const get = (path: string, headers = ''): string => `GET ${path} HTTP/1.1\r\nHost: x\r\n${headers}\r\n`;
const post = (path: string, body: string): string =>
  `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
const paths = (): string[] => handled.map(({ path }) => path);

interface Client {
  readonly socket: Socket;
  /** The status and the body of each answer. */
  readonly answers: () => string[];
  readonly isClosed: () => boolean;
}

/** A client that sends something in one piece. @param takes whether it takes answers */
function client(text: string, takes = true): Client {
  const socket = connect(Number(new URL(server.origin).port), '127.0.0.1').on('error', () => undefined);
  sockets.push(socket);
  let received = '';
  let closed = false;
  socket.on('close', () => (closed = true));
  if (takes) socket.on('data', (bytes) => (received += bytes.toString('latin1')));
  socket.write(text);
  const answers = (): string[] =>
    received
      .split('HTTP/1.1 ')
      .slice(1)
      .map((one) => `${one.slice(0, 3)} ${one.split('\r\n\r\n')[1] ?? ''}`);
  return { socket, answers, isClosed: () => closed };
}

test('past 8,192 requests that wait on all connections, one waits on each further one', async () => {
  answer = () => undefined;
  const many = get('/first') + get('/waits').repeat(600);
  const full = Array.from({ length: 16 }, () => client(many));
  await until(() => handled.length === 16, 'the first requests');
  const late = client(get('/late') + get('/behind').repeat(20));
  await until(() => handled.length === 17, 'the late one');
  answer = (path, response) => response.end(path);
  for (const { response } of handled.splice(0)) response.end('done');
  await until(() => late.isClosed() && full.every(({ isClosed }) => isClosed()), 'all to be closed');
  expect(late.answers()).toEqual(['200 done', '200 /behind']);
  for (const { answers } of full) expect(answers()).toHaveLength(513);
  // The waiting requests are forgotten: as many may wait again.
  const again = client(get('/again').repeat(100));
  await until(() => again.answers().length === 100, 'all answers');
});

describe('pipelined requests', () => {
  test('requests that come in one piece are handled one at a time and answered in order, however many there are', async () => {
    let most = 0;
    let underWay = 0;
    answer = (path, response, request) => {
      most = Math.max(most, ++underWay);
      let body = '';
      request
        .on('data', (bytes: Buffer) => (body += bytes.toString()))
        .on('end', () => {
          underWay--;
          setImmediate(() => response.end(`${path}${body}`));
        });
    };
    // More than fit in one read, with padding that keeps them below the number that may wait.
    const padding = `X-Padding: ${'x'.repeat(300)}\r\n`;
    const sent = Array.from({ length: 700 }, (_, index) =>
      index % 10 === 0 ? post(`/${index}`, `+${index}`) : get(`/${index}`, padding),
    );
    const { answers } = client(sent.join(''));
    await until(() => answers().length === 700);
    expect(answers()).toEqual(
      Array.from({ length: 700 }, (_, index) => `200 /${index}${index % 10 === 0 ? `+${index}` : ''}`),
    );
    expect(most).toBe(1);
  });

  test('requests are left unread while others wait, also behind a body for which node:http stops and starts reading', async () => {
    answer = (path, response) => void setTimeout(() => response.end(path), path === '/slow' ? 150 : 0);
    const { socket, answers } = client(
      get('/slow') + get('/a').repeat(400) + post('/body', 'x'.repeat(40_000)),
    );
    // With those before, more than may wait.
    setTimeout(() => socket.write(get('/more').repeat(300)), 60);
    await until(() => answers().length === 702);
    expect(new Set(answers())).toEqual(new Set(['200 /slow', '200 /a', '200 /body', '200 /more']));
  });

  test('a client that takes no answer costs one: its next request is not handled before the first answer is out', async () => {
    answer = (_path, response) => response.end(Buffer.alloc(16 * MEBIBYTE));
    const { socket, isClosed } = client(get('/first') + get('/second').repeat(200), false);
    await until(() => handled.length > 0);
    // It is cut after a while, and none of the others is handled then either.
    await until(() => server.stalled === 1);
    expect(paths()).toEqual(['/first']);
    socket.resume();
    await until(isClosed);
    expect(paths()).toEqual(['/first']);
  });

  test('past 512 waiting requests nothing is parsed: those that were taken are answered, and the connection closes', async () => {
    const { answers, isClosed } = client(
      Array.from({ length: 2000 }, (_, index) => `GET /${index} HTTP/1.1\r\n\r\n`).join(''),
    );
    await until(isClosed);
    expect(answers()).toEqual(Array.from({ length: 513 }, (_, index) => `200 /${index}`));
    expect(handled.at(-1)?.response.shouldKeepAlive).toBe(false);
  });

  test('waiting requests are not handled once their client is gone', async () => {
    answer = (path, response) => {
      if (path !== '/held') response.end(path);
    };
    const { socket } = client(get('/held') + get('/a') + get('/b'));
    await until(() => handled.length === 1);
    const { response } = handled[0] as (typeof handled)[0];
    const closed = once(response, 'close');
    response.socket?.destroy();
    await closed;
    socket.destroy();
    const probe = client(get('/probe'));
    await until(() => probe.answers().length === 1);
    expect(paths()).toEqual(['/held', '/probe']);
  });

  test('requests behind a last one are not handled, whether the client or the service says that it is the last', async () => {
    answer = (path, response) => {
      if (path === '/last') response.shouldKeepAlive = false;
      setImmediate(() => response.end(path));
    };
    const byClient = client(get('/a') + get('/b', 'Connection: close\r\n') + get('/c') + get('/d'));
    const byService = client(get('/a') + get('/last') + get('/c') + get('/d'));
    await until(() => byClient.isClosed() && byService.isClosed());
    expect(byClient.answers()).toEqual(['200 /a', '200 /b']);
    expect(byService.answers()).toEqual(['200 /a', '200 /last']);
    expect(paths()).not.toContain('/c');
  });
});

describe('bytes behind a request', () => {
  beforeEach(() => {
    answer = (path, response) => void setTimeout(() => response.end(path), path === '/slow' ? 50 : 0);
  });

  test('bytes that are not a request are refused after the answers that are due', async () => {
    for (const fault of [
      'no request\r\n\r\n',
      'POST /b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\nzz\r\n',
    ]) {
      const { answers, isClosed } = client(get('/slow') + get('/a') + fault);
      await until(isClosed);
      expect(answers()).toMatchObject(['200 /slow', '200 /a', expect.stringMatching(/^400 \{/)]);
    }
    expect(paths()).not.toContain('/b');
  });

  test('CONNECT ends the connection after the answers that are due', async () => {
    const { answers, isClosed } = client(
      `${get('/slow')}${get('/a')}CONNECT b:1 HTTP/1.1\r\nHost: b\r\n\r\n`,
    );
    await until(isClosed);
    expect(answers()).toEqual(['200 /slow', '200 /a']);
  });

  test('a handshake behind a request that is being answered is an ordinary request', async () => {
    const { answers } = client(get('/slow') + handshakeBytes('/ws'));
    await until(() => answers().length === 2);
    expect(answers()).toEqual(['200 /slow', '200 /ws']);
  });

  test('the body of a waiting request is read when the request is under way, and 100 is sent then', async () => {
    answer = (path, response, request) => {
      let length = 0;
      request
        .on('data', (bytes: Buffer) => (length += bytes.length))
        .on('end', () => setTimeout(() => response.end(`${path} ${length}`), 20));
    };
    const head = `POST /body HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: ${MEBIBYTE}\r\n\r\n`;
    const { socket, answers } = client(get('/slow') + head);
    await until(() => answers().length === 2);
    expect(answers()).toEqual(['200 /slow 0', '100 ']);
    socket.write('x'.repeat(MEBIBYTE) + get('/next'));
    await until(() => answers().length === 4);
    expect(answers().slice(2)).toEqual([`200 /body ${MEBIBYTE}`, '200 /next 0']);
  });
});

test('a request that was answered before its end gets no second answer if the rest of it is malformed', async () => {
  const { socket, answers } = client(
    'POST /early HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n',
  );
  await until(() => answers().length === 1);
  const closed = once(socket, 'close');
  socket.write('no size\r\n');
  await closed;
  expect(answers()).toEqual(['200 /early']);
});

describe('slow clients', () => {
  test('a client that takes nothing of an answer is cut, on a kept connection too', async () => {
    answer = (path, response) => response.end(path === '/large' ? Buffer.alloc(16 * MEBIBYTE) : path);
    const { socket, answers } = client(get('/small'));
    await until(() => answers().length === 1);
    socket.pause();
    socket.write(get('/large'));
    await until(() => server.stalled === 1);
  });

  test('a client that takes its answer slowly gets all of it', async () => {
    const bytes = 32 * MEBIBYTE;
    answer = (_path, response) => response.end(Buffer.alloc(bytes));
    const { socket } = client(get('/large', 'Connection: close\r\n'), false);
    let taken = 0;
    let pausesAt = 0;
    socket.on('data', (part) => {
      taken += part.length;
      if (taken > pausesAt) socket.pause();
    });
    // Takes some when the server has looked a few times, and needs many times the span after which it would be cut.
    const timer = setInterval(() => {
      pausesAt = taken + 2 * MEBIBYTE;
      socket.resume();
    }, 2 * LOOK_MILLISECONDS);
    await once(socket, 'end');
    clearInterval(timer);
    expect(taken).toBeGreaterThanOrEqual(bytes);
    expect(server.stalled).toBe(0);
  });

  test('a client that waits for its answer is not cut, however long that takes', async () => {
    let looks = 0;
    answer = (_path, response) => {
      response.socket?.on('timeout', () => looks++);
      setTimeout(() => response.end('late'), 12 * LOOK_MILLISECONDS);
    };
    const { answers } = client(get('/poll'));
    await until(() => answers().length === 1);
    expect(answers()).toEqual(['200 late']);
    expect(looks).toBeGreaterThan(0);
    expect(server.stalled).toBe(0);
  });
});
