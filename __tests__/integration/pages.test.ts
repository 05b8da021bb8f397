import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { expectProblem } from '../support/problems.ts';
import { rawRequest } from '../support/raw.ts';
import { cleanUp, Server, undoAtEnd } from '../support/server.ts';
import { until } from '../support/until.ts';

const PUBLIC = join(import.meta.dirname, '../../public');
/** The files of the npm package that no page needs; `npm pack` writes the last two. */
const OF_NPM = ['/package.json', '/README.md', '/LICENSE', '/types/connect.d.ts'];
const FILES = readdirSync(PUBLIC, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map(({ parentPath, name }) => join(parentPath, name).slice(PUBLIC.length))
  .filter((file) => !OF_NPM.includes(file) && !file.startsWith('/types/'));

let server: Server;
// With the files of the pages as they are shipped.
beforeAll(async () => (server = await Server.start({ isShipped: true })));
afterAll(cleanUp);

/** The bytes of an answer as they came, which `fetch` would decompress. */
async function ask(
  path: string,
  headers: Record<string, string> = {},
  method = 'GET',
): Promise<{ status: number; headers: Headers; bytes: Buffer }> {
  const received: Buffer[] = [];
  const socket = connect(server.port, '127.0.0.1');
  socket.on('data', (part) => received.push(part));
  const fields = Object.entries({ Host: '127.0.0.1', Connection: 'close', ...headers });
  const lines = fields.map(([name, value]) => `${name}: ${value}\r\n`).join('');
  socket.write(`${method} ${path} HTTP/1.1\r\n${lines}\r\n`);
  await new Promise((resolve) => socket.on('close', resolve));
  const all = Buffer.concat(received);
  const end = all.indexOf('\r\n\r\n');
  const [status = '', ...rest] = all.toString('latin1', 0, end).split('\r\n');
  const pairs = rest.map((line): [string, string] => [
    line.slice(0, line.indexOf(':')),
    line.slice(line.indexOf(':') + 2),
  ]);
  return { status: Number(status.slice(9, 12)), headers: new Headers(pairs), bytes: all.subarray(end + 4) };
}

describe('a file of the pages', () => {
  test('each file under public is served with its type, for GET and for HEAD', async () => {
    const types = new Map<string, string>();
    for (const file of FILES) {
      const [whole, head] = [await ask(file), await ask(file, {}, 'HEAD')];
      expect(whole.status).toBe(200);
      expect(whole.bytes).toEqual(readFileSync(join(PUBLIC, file)));
      expect(whole.headers.get('content-length')).toBe(String(whole.bytes.length));
      expect(head.bytes.length).toBe(0);
      for (const [name, value] of whole.headers)
        if (name !== 'date') expect(head.headers.get(name)).toBe(value);
      types.set(file.slice(file.lastIndexOf('.')), whole.headers.get('content-type') ?? '');
    }
    expect(Object.fromEntries(types)).toEqual({
      '.css': 'text/css; charset=utf-8',
      '.html': 'text/html; charset=utf-8',
      '.js': 'text/javascript; charset=utf-8',
      '.png': 'image/png',
      '.svg': 'image/svg+xml',
      '.webmanifest': 'application/manifest+json',
    });
    expect((await ask('/')).bytes).toEqual(readFileSync(join(PUBLIC, 'index.html')));
    expect((await ask('/%63lient.js?x=1')).bytes).toEqual(readFileSync(join(PUBLIC, 'client.js')));
  });

  test.each([
    [undefined, null],
    ['', null],
    ['gzip', 'gzip'],
    ['gzip, deflate, br, zstd', 'br'],
    ['br;q=0.5, gzip', 'gzip'],
    ['br;q=0, gzip;q=0', null],
    ['*', 'br'],
    ['*;q=0.1, identity', null],
    ['deflate', null],
  ])(
    'a page file is compressed as its client prefers: Accept-Encoding %j is answered with %j',
    async (accepted, coding) => {
      const headers: Record<string, string> = accepted === undefined ? {} : { 'Accept-Encoding': accepted };
      const answer = await ask('/client.js', headers);
      expect(answer.headers.get('content-encoding')).toBe(coding);
      expect(answer.headers.get('vary')).toMatch(/\bAccept-Encoding\b/);
      const plain = readFileSync(join(PUBLIC, 'client.js'));
      const decoders = { br: brotliDecompressSync, gzip: gunzipSync };
      const bytes = coding === null ? answer.bytes : decoders[coding as 'br' | 'gzip'](answer.bytes);
      expect(bytes).toEqual(plain);
      if (coding !== null) expect(answer.bytes.length).toBeLessThan(plain.length / 2);
      // An image does not get smaller.
      expect((await ask('/icons/icon-192.png', headers)).headers.get('content-encoding')).toBeNull();
    },
  );

  test('a page file has a strong ETag for each coding, and a client that has it gets 304', async () => {
    const tags = new Set<string>();
    for (const coding of ['identity', 'gzip', 'br']) {
      const headers = { 'Accept-Encoding': coding };
      const whole = await ask('/client.js', headers);
      const tag = whole.headers.get('etag') ?? '';
      expect(tag).toMatch(/^"[^"]+"$/);
      tags.add(tag);
      for (const known of [tag, `W/${tag}`, `"x", ${tag}`, '*']) {
        for (const method of ['GET', 'HEAD']) {
          const answer = await ask('/client.js', { ...headers, 'If-None-Match': known }, method);
          expect([answer.status, answer.bytes.length]).toEqual([304, 0]);
          for (const name of ['etag', 'vary', 'cache-control', 'content-security-policy']) {
            expect(answer.headers.get(name)).toBe(whole.headers.get(name));
          }
          expect(answer.headers.get('content-encoding')).toBeNull();
        }
      }
      // The tag counts, and not the time beside it (RFC 9110 §13.1.3).
      const later = { 'If-Modified-Since': new Date(Date.now() + 1000).toUTCString() };
      expect((await ask('/client.js', { ...headers, ...later })).status).toBe(304);
      expect((await ask('/client.js', { ...headers, ...later, 'If-None-Match': '"another"' })).status).toBe(
        200,
      );
      expect((await ask('/client.js', { ...headers, 'If-Match': `"x", ${tag}` })).status).toBe(200);
      expect((await ask('/client.js', { ...headers, 'If-Match': `W/${tag}` })).status).toBe(412);
    }
    expect(tags.size).toBe(3);
  });

  test('a page file is served at its exact path only', async () => {
    for (const path of [
      '/client.js/',
      '/CLIENT.js',
      '/chat',
      '/chat/',
      '/..%2fpackage.json',
      '/%2e%2e/package.json',
      '/%zz',
      '/%00',
    ]) {
      const answer = await rawRequest(server.port, { path });
      expectProblem(answer, 404, []);
    }
  });

  test.each(OF_NPM)('%s is not served, because only npm and compilers read it', async (path) => {
    for (const method of ['GET', 'PUT'])
      expectProblem(await rawRequest(server.port, { path, method }), 404, []);
    expect((await ask(path, {}, 'HEAD')).status).toBe(404);
  });

  test('page files are served from memory: many requests at once open no file', async () => {
    const names = (): string[] =>
      readdirSync(`/proc/${server.pid}/fd`).flatMap((descriptor) => {
        try {
          return [readlinkSync(`/proc/${server.pid}/fd/${descriptor}`)];
        } catch {
          return [];
        }
      });
    const sockets = Array.from({ length: 4 }, () => {
      const socket = connect(server.port, '127.0.0.1').on('error', () => undefined);
      undoAtEnd(() => socket.destroy());
      // Answers that are never taken, so that whatever a request holds would stay held.
      socket.write('GET /client.js HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n'.repeat(1000));
      return socket;
    });
    await until(async () => (await ask('/healthz')).status === 200);
    expect(names().filter((name) => name.startsWith(PUBLIC))).toEqual([]);
    expect(server.stderr).not.toMatch(/"level":(50|60)/);
    for (const socket of sockets) socket.destroy();
  });
});
