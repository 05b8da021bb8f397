import { readdirSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { afterEach, expect, test } from '@jest/globals';
import { get } from '../support/api.ts';
import { scrape } from '../support/exposition.ts';
import { cleanUp, Server } from '../support/server.ts';
import { until } from '../support/until.ts';

afterEach(cleanUp);

const ROUNDS = 10;
const AT_ONCE = 40;

const HEAD = 'HTTP/1.1\r\nHost: 127.0.0.1\r\n';
const HANDSHAKE =
  'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n' +
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n';
const BODY = '{"recipient":"bob","content":"hello"}';

/** The bytes that are sent on a connection before it is dropped. */
const KINDS: Readonly<Record<string, (round: number) => string>> = {
  'says nothing': () => '',
  'sends half of a request': () => `GET /messages?recipient=bob ${HEAD}`,
  'gets an answer': () => `GET /messages?recipient=bob ${HEAD}\r\n`,
  'is kept alive behind a publish': () =>
    `POST /messages ${HEAD}Content-Type: application/json\r\nContent-Length: ${BODY.length}\r\n\r\n${BODY}`,
  'stops in a body': () =>
    `POST /messages ${HEAD}Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n${BODY}`,
  'is a stream': (round) => `GET /stream?recipient=name-${round}&presence=bob ${HEAD}\r\n`,
  'is a WebSocket': (round) => `GET /ws?recipient=name-${round}&presence=bob ${HEAD}${HANDSHAKE}\r\n`,
  'is a held poll': (round) => `GET /messages?recipient=name-${round}&after=0&wait=60 ${HEAD}\r\n`,
  'is refused': () => `GET /stream?recipient=$ ${HEAD}\r\n`,
  'is no HTTP': () => '\x16\x03\x01\x02\x00 hello',
};

/** How a client drops a connection. */
const ENDS: readonly ((socket: Socket) => void)[] = [
  (socket) => socket.destroy(),
  (socket) => socket.resetAndDestroy(),
  (socket) => socket.end(),
];

/** Open files by what they are: sockets and others. */
function openFiles(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

/** Opens a connection and sends something; settles when that has gone out, or an answer has come. */
async function open(port: number, text: string): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  await new Promise<void>((resolve) => {
    socket.once('close', resolve);
    socket.once('connect', () => {
      if (text === '') resolve();
      else socket.write(text, () => setTimeout(resolve, 20));
    });
    socket.once('data', () => resolve());
    socket.on('data', () => undefined);
  });
  return socket;
}

const linuxTest = process.platform === 'linux' ? test : test.skip;

linuxTest(
  'dropped connections of all kinds leave no open file, no device and nobody who is online',
  async () => {
    const server = await Server.start({ env: { PUBLISH_RATE: '0' } });
    await server.waitForCheck();
    await get(server.url, '/messages?recipient=bob');
    const before = openFiles(server.pid);
    for (let round = 0; round < ROUNDS; round++) {
      for (const [index, kind] of Object.values(KINDS).entries()) {
        const sockets = await Promise.all(
          Array.from({ length: AT_ONCE }, () => open(server.port, kind(round))),
        );
        for (const [place, socket] of sockets.entries()) ENDS[(index + place) % ENDS.length]?.(socket);
      }
    }
    await until(() => openFiles(server.pid) <= before, 'the files to be closed');
    expect((await scrape(server.url)).by('tidings_connections', 'state')).toEqual({
      replaying: 0,
      live: 0,
      polling: 0,
    });
    const names = Array.from({ length: ROUNDS }, (_, round) => `name-${round}`);
    const answer = await get(server.url, `/presence?${names.map((name) => `recipient=${name}`).join('&')}`);
    for (const name of names) expect(answer.body).toHaveProperty([name, 'devices'], 0);
  },
);
