import { existsSync } from 'node:fs';
import { Agent, get as httpGet } from 'node:http';
import { connect, createServer, type AddressInfo } from 'node:net';
import { once } from 'node:events';
import { afterEach, describe, expect, test } from '@jest/globals';
import { send } from '../support/api.ts';
import { KeyServer } from '../support/key-server.ts';
import { pullAll } from '../support/pull.ts';
import { cleanUp, Server, undoAtEnd } from '../support/server.ts';
import { until } from '../support/until.ts';

afterEach(cleanUp);

/** A port that was free a moment ago. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

describe.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)('%s', (signal) => {
  test(`${signal} at the moment of the first answer ends the service cleanly, with nothing left behind`, async () => {
    const port = await freePort();
    const starting = Server.launch({ port });
    const agent = new Agent();
    const ask = (): Promise<number> =>
      new Promise((resolve) => {
        httpGet({ port, host: '127.0.0.1', path: '/healthz', agent }, (response) => {
          // It may be cut: the service ends.
          response.on('error', () => undefined).resume();
          resolve(response.statusCode ?? 0);
          // Within the callback: what the service does after this answer is still to come.
          starting.signal(signal);
        }).on('error', () => resolve(0));
      });
    await until(async () => (await ask()) === 200, 'the first answer');
    const ended = await starting.ended;
    expect(ended).toMatchObject({ code: 0, signal: null });
    expect(ended.stderr).not.toMatch(/"level":(50|60)|\n {4}at /);
    const again = await Server.start({ database: starting.database });
    const message = await send(again.url, 'bob', 'hi');
    expect(await pullAll(again.url, 'bob')).toEqual([message]);
  });

  test(`${signal} while a start waits for keys ends it before it has begun anything`, async () => {
    const issuer = await KeyServer.start(() => undefined);
    undoAtEnd(() => void issuer.close());
    const starting = Server.launch({
      env: {
        AUTH_JWKS: issuer.url,
        AUTH_ISSUER: 'https://issuer.example/',
        AUTH_AUDIENCE: 'tidings',
        NODE_EXTRA_CA_CERTS: issuer.certificateFile,
      },
    });
    await until(() => issuer.asked.length > 0, 'the question for the keys');
    starting.signal(signal);
    const ended = await starting.ended;
    expect(ended).toMatchObject({ code: 0, signal: null, stdout: '' });
    expect(existsSync(starting.database)).toBe(false);
  });
});

test('SIGHUP ends a service as SIGTERM does', async () => {
  const server = await Server.start();
  const socket = connect(server.port, '127.0.0.1').setEncoding('utf8');
  let received = '';
  socket.on('data', (text: unknown) => (received += text as string));
  socket.write('GET /stream?recipient=bob HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n');
  await until(() => received.includes('event: live'));
  server.signal('SIGHUP');
  expect(await server.ended).toMatchObject({ code: 0, signal: null });
  expect(received).toContain('"reason":"shutdown"');
});
