import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect } from '@jest/globals';
import { publish, request, type WireMessage } from '../support/api.ts';
import { CONFIGURATION, Nginx, nginxTest } from '../support/nginx.ts';
import { cleanUp, newFolder, Server } from '../support/server.ts';
import { SocketDevice } from '../support/socket-device.ts';
import { DeviceStream } from '../support/stream.ts';
import { bearer, tokenFor } from '../support/tokens.ts';
import { until } from '../support/until.ts';

const run = promisify(execFile);

/** A frame of HTTP/2 (RFC 9113 §4.1). */
function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** A header field as it is, in no table (RFC 7541 §6.2.2). */
function literal(field: readonly [string, string]): Buffer {
  return Buffer.concat([Buffer.of(0), ...field.flatMap((text) => [lengthOf(text), Buffer.from(text)])]);
}

/** RFC 7541 §5.1, with seven bits. */
function lengthOf({ length }: string): Buffer {
  if (length < 127) return Buffer.of(length);
  const bytes = [127];
  let rest = length - 127;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  return Buffer.from([...bytes, rest]);
}

describe('behind nginx, as deploy has it', () => {
  let nginx: Nginx;
  let headers: Record<string, string>;
  let options: { readonly headers: Record<string, string>; readonly ca: string };
  beforeAll(async () => {
    nginx = await Nginx.start();
    headers = bearer(await tokenFor('root', { sendTo: ['*'], sendAs: ['*'], read: ['*'], presence: ['*'] }));
    options = { headers, ca: nginx.ca.pem };
  });
  afterAll(cleanUp);

  nginxTest('browsers are told to come by https alone', async () => {
    for (const path of ['/', '/messages', '/nothing']) {
      const args = ['--silent', '--cacert', nginx.ca.file, '--head', `${nginx.url}${path}`];
      const { stdout } = await run('curl', args);
      expect(stdout).toMatch(/^strict-transport-security: max-age=31536000\r$/m);
    }
  });

  /** What curl says of a request to nginx with a token: status and type, and then the body. */
  async function curl(path: string, ...more: string[]): Promise<{ status: string; body: string }> {
    const said = [
      '--silent',
      '--cacert',
      nginx.ca.file,
      '--write-out',
      '\n%{http_version} %{http_code} %{content_type}',
    ];
    const token = ['--header', `Authorization: ${headers['Authorization'] ?? ''}`];
    const { stdout } = await run('curl', [...said, ...token, ...more, nginx.url + path], {
      maxBuffer: 16 * 1024 * 1024,
    });
    const end = stdout.lastIndexOf('\n');
    return { status: stdout.slice(end + 1), body: stdout.slice(0, end) };
  }

  const batchFile = (messages: number): string => {
    const batch = Array.from({ length: messages }, () => ({
      recipient: 'large',
      content: 'x'.repeat(40_000),
    }));
    const file = join(newFolder(), 'batch.json');
    writeFileSync(file, JSON.stringify(batch));
    return file;
  };

  nginxTest('a stream is there at once, and each message as it is sent; who goes is gone', async () => {
    const device = await DeviceStream.open(nginx.url, 'recipient=bob', options);
    await device.waitFor('live');
    const sent: WireMessage[] = [];
    for (const content of ['one', 'two', 'three']) {
      const { body } = await curl('/messages', '--json', JSON.stringify({ recipient: 'bob', content }));
      sent.push(JSON.parse(body) as WireMessage);
      expect(await device.waitForMessages(sent.length)).toEqual(sent);
    }
    const again = await DeviceStream.open(nginx.url, 'recipient=bob', {
      ...options,
      lastEventId: device.events.find(({ event }) => event === 'message')?.id ?? '',
    });
    expect(await again.waitForMessages(2)).toEqual(sent.slice(1));
    again.cut();
    device.cut();
    await until(async () => {
      const answer = await request(`${nginx.server.url}/presence?recipient=bob`, { headers });
      return (answer.body as { bob: { devices: number } }).bob.devices === 0;
    }, 'nobody to be there');
  });

  nginxTest('a socket is one, both ways', async () => {
    const device = await SocketDevice.open(nginx.url, 'recipient=carol', options);
    await device.waitFor('live');
    expect(await device.publish({ recipient: 'carol', content: 'hi' }, 'a')).toMatchObject({
      event: 'published',
    });
    await device.waitForMessages(1);
    device.socket.close();
  });

  nginxTest('inside of HTTP/2 there is no socket', async () => {
    const socket = connect({
      port: Number(new URL(nginx.url).port),
      ca: nginx.ca.pem,
      ALPNProtocols: ['h2'],
    });
    const received: Buffer[] = [];
    socket.on('data', (bytes: Buffer) => received.push(bytes));
    // As no library sends them: the fields of a handshake are forbidden there (RFC 9113 §8.2.2).
    const fields = {
      ':method': 'GET',
      ':scheme': 'https',
      ':path': '/ws?recipient=bob',
      ':authority': new URL(nginx.url).host,
      authorization: headers['Authorization'] ?? '',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
    };
    const [SETTINGS, HEADERS, END] = [4, 1, 0x5];
    socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
    socket.write(frame(SETTINGS, 0, 0, Buffer.alloc(0)));
    socket.write(frame(HEADERS, END, 1, Buffer.concat(Object.entries(fields).map(literal))));
    await until(() => Buffer.concat(received).includes('"status":426'), 'a refusal');
    expect(Buffer.concat(received).includes('ready')).toBe(false);
    socket.destroy();
  });

  nginxTest('a large batch comes through, and what is too large is refused by the service', async () => {
    const send = ['--header', 'Content-Type: application/json', '--data-binary'];
    const taken = await curl('/messages', ...send, `@${batchFile(100)}`);
    expect(taken.status).toBe('2 201 application/json; charset=utf-8');
    const refused = await curl('/messages', ...send, `@${batchFile(120)}`);
    expect(refused.status).toBe('2 413 application/problem+json');
    const long = await curl(`/messages?recipient=${'x'.repeat(12_000)}`);
    expect(long.status).toBe('2 400 application/problem+json');
  });

  nginxTest('the client is who connects to nginx, whatever it says of itself', async () => {
    const id = 'said-of-itself';
    const said = ['--header', 'X-Forwarded-For: 192.0.2.7', '--header', `X-Request-Id: ${id}`];
    await curl('/healthz', '--interface', '127.0.0.2', ...said);
    const lineOf = (): string | undefined =>
      nginx.server.stderr.split('\n').find((line) => line.includes(id));
    await until(() => lineOf() !== undefined, 'a line in the log');
    expect(JSON.parse(lineOf() ?? '')).toMatchObject({ client: '127.0.0.2' });
  });

  nginxTest('the log of nginx has each request, and of none who talks to whom', async () => {
    await curl('/messages?between=eve&between=adam');
    await until(() => nginx.accessLog.includes(' GET /messages HTTP/2.0 200 '), 'a line in the log');
    expect(nginx.accessLog).not.toMatch(/eve|adam|\?/);
  });

  nginxTest('it waits for longer than a poll and a stream may be silent', () => {
    const waits = [...CONFIGURATION.matchAll(/proxy_(?:read|send)_timeout (\d+)s;/g)].map(([, seconds]) =>
      Number(seconds),
    );
    expect(waits).toHaveLength(2);
    for (const seconds of waits) expect(seconds).toBeGreaterThan(60 + 5);
  });

  nginxTest('nginx lets go of a connection before the service does', async () => {
    const answer = await fetch(`${nginx.server.url}/healthz`);
    const service = /timeout=(\d+)/.exec(answer.headers.get('keep-alive') ?? '')?.[1];
    const proxy = /keepalive_timeout (\d+)s;/.exec(CONFIGURATION)?.[1];
    expect(Number(service)).toBeGreaterThan(Number(proxy) + 5);
  });

  nginxTest('a device is told when the service ends, and is back when that is there again', async () => {
    const device = await DeviceStream.open(nginx.url, 'recipient=dora', options);
    await device.waitFor('live');
    await publish(nginx.server.url, { recipient: 'dora', content: 'before' }, headers);
    await device.waitForMessages(1);
    const { server } = nginx;
    const { port, database } = server;
    expect((await server.stop()).code).toBe(0);
    await device.waitFor('bye');
    await device.waitForEnd();
    expect((await curl('/healthz')).status).toMatch(/ 502 /);
    await Server.start({ port, database, env: nginx.env });
    await publish(nginx.server.url, { recipient: 'dora', content: 'after' }, headers);
    const back = await DeviceStream.open(nginx.url, 'recipient=dora', {
      ...options,
      lastEventId: device.cursor ?? '',
    });
    await back.waitForMessages(1);
    expect(back.messages.map(({ content }) => content)).toEqual(['after']);
  });
});
