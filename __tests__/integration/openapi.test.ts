import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { get, request } from '../support/api.ts';
import type { Document } from '../support/description.js';
import { rawRequest } from '../support/raw.ts';
import { cleanUp, Server } from '../support/server.ts';
import { SECRET } from '../support/tokens.ts';

let server: Server;
let document: Document & { info: { version: string }; servers: { url: string }[] };

beforeAll(async () => {
  server = await Server.start({ env: { AUTH_SECRET: SECRET } });
  document = (await get(server.url, '/openapi.json')).body as typeof document;
});

afterAll(cleanUp);

describe('GET /openapi.json', () => {
  test('GET /openapi.json describes this version of the service, without a token', () => {
    const { version } = JSON.parse(readFileSync(join(import.meta.dirname, '../../package.json'), 'utf8')) as {
      version: string;
    };
    expect(document).toMatchObject({ openapi: '3.1.0', info: { version }, servers: [{ url: '/' }] });
  });

  test('GET /openapi.json answers 304 to a client that has it, and refuses parameters', async () => {
    const whole = await rawRequest(server.port, { path: '/openapi.json' });
    expect(whole.headers.get('content-type')).toBe('application/json; charset=utf-8');
    const etag = whole.headers.get('etag') ?? '';
    const again = await rawRequest(server.port, {
      path: '/openapi.json',
      headers: { 'If-None-Match': etag },
    });
    expect([again.status, again.text]).toEqual([304, '']);
    const other = await rawRequest(server.port, {
      path: '/openapi.json',
      headers: { 'If-Match': '"other"' },
    });
    expect(other.status).toBe(412);
    const head = await rawRequest(server.port, { method: 'HEAD', path: '/openapi.json' });
    expect([head.status, head.headers.get('etag'), head.text]).toEqual([200, etag, '']);
    expect((await get(server.url, '/openapi.json?format=yaml')).status).toBe(400);
  });

  test('GET /openapi.json names the path below which the service is reached', async () => {
    const below = await Server.start({
      env: { AUTH_SECRET: SECRET, PUBLIC_URL: 'https://example.org/push' },
    });
    expect((await get(below.url, '/openapi.json')).body).toMatchObject({ servers: [{ url: '/push' }] });
  });
});

test('each described path has exactly the methods that the description lists', async () => {
  for (const [path, item] of Object.entries(document.paths)) {
    const { status, headers } = await request(server.url + path.replace('{id}', '1'), { method: 'OPTIONS' });
    const allowed = (headers.get('allow') ?? '').split(', ').filter((method) => method !== 'HEAD');
    expect([path, status, allowed]).toEqual([
      path,
      204,
      Object.keys(item).map((method) => method.toUpperCase()),
    ]);
    for (const method of ['GET', 'POST', 'PUT', 'DELETE', 'PATCH'].filter((one) => !allowed.includes(one))) {
      const other = await request(server.url + path.replace('{id}', '1'), { method });
      expect([path, method, other.status]).toEqual([path, method, 405]);
    }
  }
});

test('exactly the operations that the description says need a token are 401 without one', async () => {
  for (const [path, item] of Object.entries(document.paths)) {
    for (const [method, operation] of Object.entries(item)) {
      const { security, requestBody } = operation;
      const { status } = await request(server.url + path.replace('{id}', '1'), {
        method: method.toUpperCase(),
        ...(requestBody === undefined ? {} : { body: '{}', headers: { 'Content-Type': 'application/json' } }),
      });
      const needsToken = security.length > 0 && path !== '/ws';
      expect([path, method, status === 401]).toEqual([path, method, needsToken]);
    }
  }
});
