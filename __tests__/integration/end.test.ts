import { existsSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { afterEach, describe, expect, test } from '@jest/globals';
import { get, publish, send, type Answer, type WireMessage } from '../support/api.ts';
import { headCursor, pull, pullAll } from '../support/pull.ts';
import { RawDevice } from '../support/raw-device.ts';
import { RawSocket } from '../support/raw-socket.ts';
import { cleanUp, type Ended, Server } from '../support/server.ts';
import { DeviceStream } from '../support/stream.ts';
import { until } from '../support/until.ts';

afterEach(cleanUp);

const END_MILLISECONDS = 5000;

/** When a server logged a message. */
function timeOf({ stderr }: Ended, message: string): number {
  const line = stderr.split('\n').find((one) => one.includes(`"msg":"${message}"`));
  return (JSON.parse(line ?? '{}') as { time?: number }).time ?? NaN;
}

/** Sends a signal and waits for the end, which has to be a graceful one within five seconds by the server's own log. */
async function endBy(server: Server, signal: NodeJS.Signals): Promise<Ended> {
  server.signal(signal);
  const ended = await server.ended;
  expect(timeOf(ended, 'ended') - timeOf(ended, 'shutting down')).toBeLessThan(END_MILLISECONDS);
  expect(ended).toMatchObject({ code: 0, signal: null });
  const wal = `${server.database}-wal`;
  expect(existsSync(wal) ? statSync(wal).size : 0).toBe(0);
  return ended;
}

/** A reader that takes nothing, with more waiting for it than the system and the service buffer. */
async function stall(
  server: Server,
  by: typeof RawDevice | typeof RawSocket = RawDevice,
): Promise<RawDevice | RawSocket> {
  const reader = await by.open(server.port, 'recipient=stalled', { asleep: true });
  const batch = Array.from({ length: 80 }, () => ({ recipient: 'stalled', content: 'x'.repeat(49_000) }));
  for (let round = 0; round < 5; round++) expect((await publish(server.url, batch)).status).toBe(201);
  return reader;
}

describe.each(['SIGTERM', 'SIGINT'] as const)('%s', (signal) => {
  test(`${signal} ends streams with bye and their position, and answers held polls`, async () => {
    const server = await Server.start();
    const device = await DeviceStream.open(server.url, 'recipient=bob');
    await device.waitFor('live');
    const sent = await send(server.url, 'bob', 'hi');
    await device.waitForMessages(1);
    const cursor = await headCursor(server.url);
    const poll = pull(server.url, `recipient=bob&after=${cursor}&wait=60`);
    const presence = '/presence?recipient=bob';
    await until(async () => (await get(server.url, presence)).body !== undefined);
    await until(async () => JSON.stringify((await get(server.url, presence)).body).includes('"devices":2'));
    await endBy(server, signal);
    expect(await poll).toEqual({ messages: [], cursor, gap: false, more: false });
    await device.waitForEnd();
    const bye = device.events.at(-1);
    expect(bye).toEqual({ event: 'bye', id: cursor, data: { type: 'bye', reason: 'shutdown' } });
    const [, retry = 0] = device.retries;
    expect(device.raw).toMatch(/event: bye\nretry: \d+\ndata: .*\nid: .*\n\n/);
    expect(retry).toBeGreaterThanOrEqual(1000);
    expect(retry).toBeLessThanOrEqual(4000);

    const after = await Server.start({ database: server.database });
    const again = await DeviceStream.open(after.url, 'recipient=bob', { lastEventId: bye?.id ?? '' });
    await again.waitFor('live');
    expect(again.gap).toBe(false);
    expect(again.messages).toEqual([]);
    expect(await pullAll(after.url, 'bob')).toEqual([sent]);
  });

  test('publishes in flight are answered at a signal, and exactly the acknowledged ones are stored and delivered', async () => {
    const server = await Server.start();
    const device = await DeviceStream.open(server.url, 'recipient=bob');
    await device.waitFor('live');
    await send(server.url, 'bob', 'the first');
    const answers: Promise<Answer | undefined>[] = [];
    let acknowledged = 0;
    const publishOne = async (): Promise<Answer | undefined> => {
      try {
        const answer = await publish(server.url, { recipient: 'bob', content: `${answers.length}` });
        acknowledged += 1;
        return answer;
      } catch {
        return undefined; // no connection any more
      }
    };
    for (let count = 0; count < 400; count++) answers.push(publishOne());
    await until(() => acknowledged > 0);
    await endBy(server, signal);
    await device.waitForEnd();
    const settled = await Promise.all(answers);
    const stored = settled.filter((answer) => answer?.status === 201);
    for (const answer of settled) expect([201, 503, undefined]).toContain(answer?.status);
    const ids = stored.map((answer) => (answer?.body as WireMessage).id).sort((one, other) => one - other);
    expect(device.ids).toEqual([1, ...ids]);
    const after = await Server.start({ database: server.database });
    expect((await pullAll(after.url, 'bob')).map(({ id }) => id)).toEqual([1, ...ids]);
  });

  test.each([
    ['Server-Sent Events', RawDevice],
    ['WebSocket', RawSocket],
  ])(`${signal} ends the process within five seconds if a reader of %s takes nothing`, async (_name, by) => {
    const server = await Server.start();
    const reader = await stall(server, by);
    const device = await DeviceStream.open(server.url, 'recipient=bob');
    await device.waitFor('live');
    await endBy(server, signal);
    await device.waitForEnd();
    expect(device.events.at(-1)?.event).toBe('bye');
    reader.cut();
  });
});

describe('while the service is shutting down', () => {
  test('a service that shuts down tells a new stream in band to come back, and refuses other requests for now', async () => {
    const server = await Server.start();
    const reader = await stall(server);
    // Connected before, asking after.
    const late = await RawDevice.open(server.port, 'recipient=bob', { silent: true });
    const requests = [
      'GET /stream?recipient=bob HTTP/1.1\r\nHost: localhost\r\n\r\n',
      'GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n',
      'POST /messages HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 34\r\n\r\n' +
        '{"recipient":"bob","content":"hi"}',
    ];
    const clients = requests.map((text) => {
      const socket = connect(server.port, '127.0.0.1').setEncoding('utf8');
      const client = { socket, text, answer: '', closed: false };
      socket.on('data', (chunk: unknown) => (client.answer += chunk as string));
      socket.on('close', () => (client.closed = true)).on('error', () => (client.closed = true));
      return client;
    });
    await until(() => clients.every(({ socket }) => !socket.connecting));
    // The server has accepted them all: it has answered somebody who came later.
    await headCursor(server.url);
    const ended = endBy(server, 'SIGTERM');
    await until(() => server.stderr.includes('shutting down'));
    late.request();
    for (const { socket, text } of clients) socket.write(text);
    const bye = await late.waitFor('bye');
    expect(bye.data).toEqual({ type: 'bye', reason: 'shutdown' });
    expect(late.head).toMatch(/^HTTP\/1\.1 200 OK\r\n(.*\r\n)*Content-Type: text\/event-stream\r\n/);
    await until(() => clients.every(({ closed }) => closed));
    for (const { answer } of clients) {
      expect(answer).toMatch(/^HTTP\/1\.1 503 /);
      expect(answer).toMatch(/^Retry-After: \d+\r$/im);
      expect(answer).toContain('application/problem+json');
    }
    // Only a publish could have stored anything.
    expect(clients.map(({ answer }) => answer.includes('"stored":"no"'))).toEqual([false, false, true]);
    await ended;
    reader.cut();
    const after = await Server.start({ database: server.database });
    expect(await pullAll(after.url, 'bob')).toEqual([]);
  });

  test('a signal within half a second of the first changes nothing, and a later one ends the service at once', async () => {
    const server = await Server.start();
    const reader = await stall(server);
    // It finds both when it goes on: there is no time between them.
    await server.freeze();
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGCONT'] as const) server.signal(signal);
    await until(() => server.stderr.includes('shutting down'));
    const signalled = performance.now();
    // Only a signal that comes half a second after the first is another wish.
    await until(() => performance.now() - signalled > 600);
    expect(server.stderr).not.toContain('second signal');
    expect(process.kill(server.pid, 0)).toBe(true);
    server.signal('SIGINT');
    const ended = await server.ended;
    expect(ended.code).toBe(1);
    expect(ended.stderr).toContain('a second signal');
    reader.cut();
    // And it was no harm to the log.
    const after = await Server.start({ database: server.database });
    expect(await headCursor(after.url)).toMatch(/^400-/);
  });
});
