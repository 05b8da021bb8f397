import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { gzipSync } from 'node:zlib';
import { get, send } from '../support/api.ts';
import { peakBytes } from '../support/memory.ts';
import { expectProblem } from '../support/problems.ts';
import { exchange, rawPublish, type RawRequest, rawRequest } from '../support/raw.ts';
import { cleanUp, Server } from '../support/server.ts';
import { until } from '../support/until.ts';

const MIB = 1024 * 1024;

let server: Server;
beforeAll(async () => {
  server = await Server.start();
  await send(server.url, 'bob', 'hi');
});
afterAll(cleanUp);

/** Every path of the service, with a query that it takes. */
const PATHS = [
  '/messages?recipient=bob',
  '/messages/1',
  '/stream?recipient=bob',
  '/conversations?recipient=bob',
  '/presence?recipient=bob',
  '/push-key',
  '/push-subscriptions?recipient=bob',
  '/healthz',
  '/readyz',
];

const post = (body: string, type = 'application/json', headers: Record<string, string> = {}): RawRequest => ({
  method: 'POST',
  path: '/messages',
  headers: { ...(type === '' ? {} : { 'Content-Type': type }), ...headers },
  body,
});
const of = (path: string): RawRequest => ({ path });
const message = '{"recipient":"bob","content":1}';
const many = (name: string, count: number) =>
  Array.from({ length: count }, (_, index) => `${name}=a${index}`).join('&');

describe('refusals', () => {
  test.each<[string, RawRequest, number, string[]]>([
    ['an empty body', post(''), 400, []],
    ['white space for a body', post('  \n'), 400, []],
    ['JSON cut short', post('{"recipient":"bob"'), 400, []],
    ['JSON with a comma too many', post('{"recipient":"bob","content":[1,]}'), 400, []],
    ['JSON with single quotes', post("{'recipient':'bob','content':1}"), 400, []],
    ['two values', post(`${message}${message}`), 400, []],
    ['NaN', post('{"recipient":"bob","content":NaN}'), 400, []],
    ['a line end in a string', post('{"recipient":"bob","content":"a\nb"}'), 400, []],
    ['a string for a body', post('"hi"'), 400, ['']],
    ['a number for a body', post('1'), 400, ['']],
    ['null for a body', post('null'), 400, ['']],
    ['a list in a list', post(`[[${message}]]`), 400, ['/0']],
    ['null in a list', post(`[${message},null]`), 400, ['/1']],
    ['an empty object', post('{}'), 400, ['/content', '/recipient']],
    ['an unknown field', post('{"recipient":"bob","content":1,"to":"x"}'), 400, ['/to']],
    [
      'an unknown field in a list',
      post(`[${message},{"recipient":"bob","content":1,"to":"x"}]`),
      400,
      ['/1/to'],
    ],
    [
      'every bad field of a list',
      post('[{"recipient":"","content":1},{"recipient":"a","ttl":0}]'),
      400,
      ['/0/recipient', '/1/content', '/1/ttl'],
    ],
    ['no content type', post(message, ''), 415, []],
    ['text/plain', post(message, 'text/plain'), 415, []],
    ['multipart/form-data', post('', 'multipart/form-data; boundary=x'), 415, []],
    ['application/xml', post('<a/>', 'application/xml'), 415, []],
    ['a content type that begins like JSON', post(message, 'application/json5'), 415, []],
    [
      'content too large',
      post(JSON.stringify({ recipient: 'bob', content: 'x'.repeat(48 * 1024) })),
      413,
      ['/content'],
    ],
    ['a body too large', post(message.padEnd(4 * MIB + 1)), 413, []],
    ['a parameter to publish', { ...post(message), path: '/messages?sender=x' }, 400, ['/sender']],
    ['a page of no inbox', of('/messages'), 400, ['/recipient']],
    ['a page of 101 inboxes', of(`/messages?${many('recipient', 101)}`), 400, ['/recipient']],
    ['101 inboxes read back', of(`/messages?before=latest&${many('recipient', 101)}`), 400, ['/recipient']],
    ['a page of a bad address', of('/messages?recipient=$a'), 400, ['/recipient']],
    ['a page of an empty address', of('/messages?recipient='), 400, ['/recipient']],
    ['a page of a prefix', of('/messages?recipient=a*'), 400, ['/recipient']],
    ['a page of a bad limit', of('/messages?recipient=a&limit=0'), 400, ['/limit']],
    ['a page of two limits', of('/messages?recipient=a&limit=1&limit=2'), 400, ['/limit']],
    ['a page of a bad wait', of('/messages?recipient=a&wait=61'), 400, ['/wait']],
    ['a page before nothing', of('/messages?recipient=a&before=x'), 400, ['/before']],
    ['a conversation of one', of('/messages?between=a'), 400, ['/between']],
    ['a conversation of three', of('/messages?between=a&between=b&between=c'), 400, ['/between']],
    ['a conversation of a bad address', of('/messages?between=a&between=$b'), 400, ['/between']],
    ['a stream of no inbox', of('/stream'), 400, ['/recipient']],
    ['a stream of a bad address', of('/stream?recipient=a%00'), 400, ['/recipient']],
    ['a stream of an address that is not NFC', of('/stream?recipient=e%CC%81'), 400, ['/recipient']],
    ['a stream of an address of 129', of(`/stream?recipient=${'a'.repeat(129)}`), 400, ['/recipient']],
    ['a stream of a bad last', of('/stream?recipient=a&last=1001'), 400, ['/last']],
    ['a stream of two of last', of('/stream?recipient=a&last=1&last=1'), 400, ['/last']],
    ['a stream of a bad presence', of('/stream?recipient=a&presence=*'), 400, ['/presence']],
    ['every bad parameter', of('/stream?recipient=$a&last=x&lst=1'), 400, ['/last', '/lst', '/recipient']],
    ['conversations of nobody', of('/conversations'), 400, ['/recipient']],
    ['conversations of two', of('/conversations?recipient=a&recipient=b'), 400, ['/recipient']],
    ['conversations of a bad address', of('/conversations?recipient=%20a'), 400, ['/recipient']],
    ['conversations with a bad limit', of('/conversations?recipient=a&limit=1001'), 400, ['/limit']],
    ['conversations before nothing', of('/conversations?recipient=a&before=x'), 400, ['/before']],
    ['presence of nobody', of('/presence'), 400, ['/recipient']],
    ['presence of a bad address', of('/presence?recipient=a&recipient=$b'), 400, ['/recipient']],
    ['a message that is not there', of('/messages/999999'), 404, []],
    ['a path that is not there', of('/nothing'), 404, []],
    ['a path with an ending', of('/messages/1/2'), 404, []],
    ['a path that climbs', of('/messages/../../etc/passwd'), 404, []],
    ['a path that climbs encoded', of('/messages/..%2f..%2fetc%2fpasswd'), 404, []],
    ['a path that is not there with any method', { method: 'DELETE', path: '/nothing' }, 404, []],
  ])('a request is refused for %s', async (_what, request, status, paths) => {
    expectProblem(await rawRequest(server.port, request), status, paths);
  });

  test.each(PATHS)('an unknown parameter is refused by its name: %s', async (path) => {
    for (const name of ['recipients', 'Recipient', '__proto__', 'constructor', 'recipient[]', '']) {
      const separator = path.includes('?') ? '&' : '?';
      const answer = await get(server.url, `${path}${separator}${encodeURIComponent(name)}=1`);
      expectProblem(answer, 400, [`/${name}`]);
    }
  });

  test.each(PATHS.filter((path) => path.includes('?')))('a query in bad UTF-8 is 400: %s', async (path) => {
    for (const bad of ['%FF', '%C3', '%ED%A0%80', '%F4%90%80%80', '%C0%AF', '%', '%4', '%zz']) {
      expectProblem(await rawRequest(server.port, { path: `${path}${bad}` }), 400);
      expectProblem(await rawRequest(server.port, { path: `${path}&${bad}=1` }), 400);
    }
  });

  test.each([...PATHS, '/', '/client.js', '/chat/app.js'])(
    'a wrong method is refused, and Allow lists the right ones: %s',
    async (path) => {
      for (const method of ['PUT', 'PATCH', 'DELETE', 'POST']) {
        if (method === 'POST' && path.startsWith('/messages?')) continue;
        if (/^(POST|DELETE)$/.test(method) && path.startsWith('/push-subscriptions?')) continue;
        const answer = await rawRequest(server.port, { method, path });
        expectProblem(answer, 405, []);
        const allowed = answer.headers.get('allow')?.split(', ') ?? [];
        expect(allowed).toContain('GET');
        expect(allowed).not.toContain(method);
      }
    },
  );

  test('a refusal of HEAD has the same status as for GET, and no body', async () => {
    for (const path of ['/stream', '/messages', '/messages/999999', '/presence', '/nothing']) {
      const [head, whole] = [
        await rawRequest(server.port, { method: 'HEAD', path }),
        await get(server.url, path),
      ];
      expect({ path, status: head.status, text: head.text }).toEqual({
        path,
        status: whole.status,
        text: '',
      });
    }
  });

  test('a body that is small only while it is compressed is refused', async () => {
    const bomb = gzipSync(message.padEnd(64 * MIB));
    const answer = await rawPublish(server.port, bomb, { 'Content-Encoding': 'gzip' });
    expect([413, 415]).toContain(answer.status);
    expectProblem(answer, answer.status);
  });

  test('JSON with too many values or levels is refused without being built in memory', async () => {
    const before = peakBytes(server.pid);
    const fill = (item: string): string => item.repeat(Math.floor((4 * MIB - 100) / item.length));
    const names = Array.from({ length: 90_000 }, (_, index) => `"k${index}":1`).join();
    for (const [content, status] of [
      [`[${fill(`${'['.repeat(489)}${']'.repeat(489)},`)}1]`, 413],
      [`[${fill('{},')}1]`, 413],
      [`[${fill('1,')}1]`, 413],
      [`{${names}}`, 413],
      ['['.repeat(2 * MIB), 400],
    ] as const) {
      const body = gzipSync(`{"recipient":"bob","content":${content}}`);
      expectProblem(await rawPublish(server.port, body, { 'Content-Encoding': 'gzip' }), status);
    }
    // Built, they take half a gigabyte.
    expect(peakBytes(server.pid) - before).toBeLessThan(200 * MIB);
  });

  test('a header of 20 KB is refused with 431', async () => {
    const answer = await rawRequest(server.port, {
      path: '/healthz',
      headers: { 'X-Long': 'x'.repeat(20_000) },
    });
    expectProblem(answer, 431);
  });

  test('a request without a Host is refused in HTTP/1.1, and served in HTTP/1.0', async () => {
    const ask = (version: string) =>
      exchange(server.port, (socket) =>
        socket.write(`GET /healthz HTTP/${version}\r\nConnection: close\r\n\r\n`),
      );
    expectProblem(await ask('1.1'), 400);
    expect((await ask('1.0')).status).toBe(200);
  });

  test('a page file with another ETag than If-Match is refused with 412, and a Range is ignored', async () => {
    const path = '/client.js';
    expectProblem(await rawRequest(server.port, { path, headers: { 'If-Match': '"another"' } }), 412);
    const whole = await rawRequest(server.port, { path, headers: { Range: 'bytes=99999999-' } });
    expect(whole.status).toBe(200);
  });

  test('an unknown expectation is ignored', async () => {
    const answer = await rawRequest(server.port, { path: '/healthz', headers: { Expect: 'wonders' } });
    expect(answer.status).toBe(200);
  });

  test('a header that drips is refused with 408', async () => {
    let dripped = 0;
    const answer = await exchange(server.port, (socket) => {
      socket.write('GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ');
      const drip = setInterval(() => {
        if (!socket.destroyed) socket.write('x');
        dripped += 1;
      }, 100);
      socket.on('close', () => clearInterval(drip));
    });
    expect(dripped).toBeGreaterThan(0);
    expectProblem(answer, 408);
  });

  test('requests after refused ones are served', async () => {
    await until(async () => (await get(server.url, '/readyz')).status === 200);
    expect((await get(server.url, '/messages?recipient=bob')).body).toMatchObject({
      messages: [{ id: 1, content: 'hi' }],
      more: false,
    });
  });
});
