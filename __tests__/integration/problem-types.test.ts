import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { PROBLEM_STATUS } from '../../src/errors.ts';
import { exchange } from '../support/raw.ts';
import { cleanUp, Server } from '../support/server.ts';

interface Problem {
  readonly type: string;
  readonly status: number;
}

const JSON_TYPE = { 'Content-Type': 'application/json' };
const TOO_LARGE = JSON.stringify({ recipient: 'bob', content: 'x'.repeat(50_000) });
const HEADERS = Array.from({ length: 101 }, (_, index): [string, string] => [`x-${index}`, '']);

/** A request that is refused, by the kind of its problem. */
const REQUESTS: Readonly<Record<string, [string, RequestInit?]>> = {
  malformed: ['/messages', { method: 'POST', body: '{', headers: JSON_TYPE }],
  forbidden: ['/messages?recipient=bob', { headers: { Origin: 'https://elsewhere.example' } }],
  'not-found': ['/messages/1'],
  'method-not-allowed': ['/stream', { method: 'PUT' }],
  'too-large': ['/messages', { method: 'POST', body: TOO_LARGE, headers: JSON_TYPE }],
  'unsupported-media-type': ['/messages', { method: 'POST', body: 'x', headers: { 'Content-Type': 'a/b' } }],
  'upgrade-required': ['/ws?recipient=bob'],
  'header-too-large': ['/messages', { headers: HEADERS }],
};

afterAll(cleanUp);

describe('at the root of its host', () => {
  let server: Server;
  let page: string;
  beforeAll(async () => {
    server = await Server.start();
    page = await (await fetch(new URL('/problems', server.url))).text();
  });

  test('the page of problems has one section for each kind, with its status and two paragraphs', () => {
    const sections = [...page.matchAll(/<section id="([a-z-]+)">([^]*?)<\/section>/g)];
    const statuses = sections.map(([, id = '', text = '']) => [id, Number(/<h2>(\d{3}) /.exec(text)?.[1])]);
    expect(Object.fromEntries(statuses)).toEqual(PROBLEM_STATUS);
    expect(sections).toHaveLength(Object.keys(PROBLEM_STATUS).length);
    for (const [, , text = ''] of sections) expect(text.match(/<p>[^]+?\.<\/p>/g)).toHaveLength(2);
  });

  test.each(Object.keys(REQUESTS))(
    'the type of a problem leads to its section of a page: %s',
    async (kind) => {
      const [path, init] = REQUESTS[kind] ?? [''];
      const answer = await fetch(new URL(path, server.url), init);
      const { type, status } = (await answer.json()) as Problem;
      expect({ type, status }).toEqual({ type: `/problems#${kind}`, status: answer.status });
      const explained = await fetch(new URL(type, answer.url));
      expect([explained.status, explained.headers.get('content-type')]).toEqual([
        200,
        'text/html; charset=utf-8',
      ]);
      expect(await explained.text()).toContain(`<section id="${new URL(type, answer.url).hash.slice(1)}">`);
    },
  );

  test('the page of problems is refused for other methods, and needs no token', async () => {
    const answer = await fetch(new URL('/problems', server.url), { method: 'POST' });
    expect([answer.status, answer.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
    const closed = await Server.start({ env: { AUTH_SECRET: 'x'.repeat(64) } });
    const { status, headers } = await fetch(new URL('/messages?recipient=bob', closed.url));
    expect([status, headers.get('content-type')]).toEqual([401, 'application/problem+json']);
    expect((await fetch(new URL('/problems', closed.url))).status).toBe(200);
  });
});

test('below a path, the type of every problem has that path: of answers, of refused bytes and of bodies in pieces', async () => {
  const server = await Server.start({ env: { PUBLIC_URL: 'https://host.example/push' } });
  const typeOf = (text: string): string => (JSON.parse(text) as Problem).type;
  const missing = await fetch(new URL('/messages/1', server.url));
  expect(typeOf(await missing.text())).toBe('/push/problems#not-found');

  const unreadable = await exchange(server.port, (socket) => socket.write('nonsense\r\n\r\n'));
  expect(typeOf(unreadable.text)).toBe('/push/problems#malformed');

  const inPieces = await exchange(server.port, (socket) => {
    socket.write('POST /messages HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n');
    socket.write(`Transfer-Encoding: chunked\r\n\r\n${'1\r\n \r\n'.repeat(17_000)}`);
  });
  expect(typeOf(inPieces.text)).toBe('/push/problems#too-large');

  const description = await (await fetch(new URL('/openapi.json', server.url))).text();
  expect(description).toContain('/problems#(malformed|');
});
