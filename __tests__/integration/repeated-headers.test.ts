import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { publish, send } from '../support/api.ts';
import { expectProblem } from '../support/problems.ts';
import { exchange, type RawAnswer } from '../support/raw.ts';
import { RawSocket } from '../support/raw-socket.ts';
import { cleanUp, Server } from '../support/server.ts';
import { DeviceStream } from '../support/stream.ts';
import { SECRET, tokenFor } from '../support/tokens.ts';

let server: Server;
beforeAll(async () => {
  server = await Server.start();
});
afterAll(cleanUp);

/** Sends a request with header lines as they are given. */
function ask(port: number, start: string, lines: readonly string[], body = ''): Promise<RawAnswer> {
  const head = [`${start} HTTP/1.1`, `Host: 127.0.0.1:${port}`, 'Connection: close', ...lines];
  return exchange(port, (socket) => socket.write(`${head.join('\r\n')}\r\n\r\n${body}`));
}

describe('a field of a request that is given more than once', () => {
  test.each<[string, (cursor: string) => Record<string, string | string[]>]>([
    ['in two lines', (cursor) => ({ 'Last-Event-ID': [cursor, cursor] })],
    ['in three lines', (cursor) => ({ 'Last-Event-ID': [cursor, cursor, cursor] })],
    ['in a line that a proxy made of two', (cursor) => ({ 'Last-Event-ID': `${cursor}, ${cursor}` })],
    ['in such a line without a space', (cursor) => ({ 'Last-Event-ID': `${cursor},${cursor}` })],
  ])('an equal Last-Event-ID %s counts as one', async (what, headersOf) => {
    const inbox = `equal-${what.replaceAll(' ', '-')}`;
    const sent = [];
    for (const content of [1, 2, 3]) sent.push(await send(server.url, inbox, content));
    const first = await DeviceStream.open(server.url, `recipient=${inbox}&last=2`);
    const { id: cursor = '' } = await first.waitFor('ready');
    first.cut();
    // Typed for one value of each; node:http takes several.
    const headers = headersOf(cursor) as Record<string, string>;
    const device = await DeviceStream.open(server.url, `recipient=${inbox}`, { headers });
    await device.waitFor('live');
    expect(device.gap).toBe(false);
    expect(device.messages).toEqual(sent.slice(1));
    device.cut();
  });

  test('a repeated Last-Event-ID of a WebSocket counts as one if equal, and is refused by name if not', async () => {
    await send(server.url, 'socket', 1);
    const { id } = await send(server.url, 'socket', 2);
    const open = (first: number, second: number): Promise<RawSocket> => {
      const headers = { 'Last-Event-ID': String(first), 'last-event-id': String(second) };
      return RawSocket.open(server.port, 'recipient=socket', { headers });
    };
    const equal = await open(id - 1, id - 1);
    await equal.waitForMessages(1);
    expect(equal.ids).toEqual([id]);
    equal.cut();
    const different = await open(id - 1, id);
    await different.waitForEnd();
    expect(different.head).toMatch(/^HTTP\/1\.1 400 /);
    expect(different.body).toContain('"path":"/Last-Event-ID"');
  });

  test('different values of a Last-Event-ID are refused also if a proxy has made one line of them', async () => {
    for (const start of ['GET /stream?recipient=bob', 'HEAD /stream?recipient=bob']) {
      const answer = await ask(server.port, start, ['Last-Event-ID: 1-k3f9ab, 2-k3f9ab']);
      expect(answer.status).toBe(400);
    }
    const answer = await ask(server.port, 'GET /stream?recipient=bob', ['Last-Event-ID: 1,2,1']);
    expectProblem(answer, 400, ['/Last-Event-ID']);
    expect(answer.text).toContain('is given more than once, with different values');
    // Text with a comma that is no cursor of this service.
    const device = await DeviceStream.open(server.url, 'recipient=comma', { lastEventId: '1, x' });
    await device.waitFor('live');
    expect(device.gap).toBe('unknown');
    device.cut();
  });

  test.each([
    ['Last-Event-ID', 'GET /stream?recipient=bob', '1', '2'],
    ['Last-Event-ID', 'GET /stream?recipient=bob', '', '2'],
    ['Idempotency-Key', 'POST /messages', 'a', 'b'],
    ['Content-Type', 'POST /messages', 'application/json', 'application/x-www-form-urlencoded'],
    ['Authorization', 'GET /messages?recipient=bob', 'Bearer a', 'Bearer b'],
    ['Origin', 'GET /messages?recipient=bob', 'http://localhost', 'http://127.0.0.1'],
    ['Sec-Fetch-Site', 'GET /messages?recipient=bob', 'same-origin', 'cross-site'],
    ['Sec-Fetch-Mode', 'GET /', 'navigate', 'cors'],
    ['Sec-Fetch-Dest', 'GET /', 'document', 'image'],
    ['Access-Control-Request-Method', 'OPTIONS /messages', 'GET', 'POST'],
  ])('different values of %s are refused by its name', async (name, start, one, other) => {
    for (const values of [
      [one, other],
      [other, one],
      [one, one, other],
    ]) {
      const lines = values.map((value, index) => `${index === 0 ? name : name.toLowerCase()}: ${value}`);
      const answer = await ask(server.port, start, [...lines, 'Content-Length: 0']);
      expectProblem(answer, 400, [`/${name}`]);
      expect(answer.text).toContain('is given more than once, with different values');
    }
  });

  test('equal values of Idempotency-Key and Content-Type count as one', async () => {
    const body = '{"recipient":"bob","content":"once"}';
    const lines = ['Idempotency-Key: k1', 'Content-Type: application/json'];
    const answer = await ask(
      server.port,
      'POST /messages',
      [...lines, ...lines, `Content-Length: ${body.length}`],
      body,
    );
    expect(answer.status).toBe(201);
    expect(answer.body).toMatchObject({ idempotencyKey: 'k1' });
    const again = await publish(server.url, { recipient: 'bob', content: 'once', idempotencyKey: 'k1' });
    expect(again.status).toBe(200);
  });

  test('equal values of Authorization count as one, and different ones are refused', async () => {
    const closed = await Server.start({ env: { AUTH_SECRET: SECRET } });
    const good = `Authorization: Bearer ${await tokenFor('bob')}`;
    const bad = 'Authorization: Bearer x';
    expect((await ask(closed.port, 'GET /messages', [good, good])).status).toBe(200);
    for (const lines of [
      [good, bad],
      [bad, good],
    ])
      expectProblem(await ask(closed.port, 'GET /messages', lines), 400, ['/Authorization']);
    // In a line that a proxy made of two there is no one token.
    expect((await ask(closed.port, 'GET /messages', [`${good}, ${good.split(': ')[1]}`])).status).toBe(401);
    await closed.stop();
  });

  test('headers that may be lists, or that the service ignores, may be repeated', async () => {
    const lines = [
      ...['Accept: application/json', 'Accept: text/html', 'X-Request-Id: a', 'X-Request-Id: b'],
      ...['Cookie: a=1', 'Cookie: a=2', 'If-None-Match: "a"', 'If-None-Match: "b"', 'DNT: 1', 'DNT: 0'],
    ];
    expect((await ask(server.port, 'GET /messages?recipient=bob', lines)).status).toBe(200);
  });
});
