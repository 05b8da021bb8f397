import { connect } from 'node:tls';
import { afterAll, beforeAll, describe, expect } from '@jest/globals';
import { configurationOf, Proxy, proxyTest } from '../support/proxy.ts';
import { cleanUp, type Server } from '../support/server.ts';
import { bearer, tokenFor } from '../support/tokens.ts';
import { until } from '../support/until.ts';

const CONFIGURATION = configurationOf('nginx');
const nginxTest = proxyTest('nginx');

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

/** Tests of all three proxies are in browser/proxies. */
describe('behind nginx, as deploy has it', () => {
  let proxy: Proxy;
  let server: Server;
  let headers: Record<string, string>;
  beforeAll(async () => {
    const proxied = await Proxy.start('nginx');
    [proxy, server] = [proxied.proxies[0] as Proxy, proxied.server];
    headers = bearer(await tokenFor('root', { read: ['*'] }));
  });
  afterAll(cleanUp);

  nginxTest('nginx opens no WebSocket inside HTTP/2', async () => {
    const socket = connect({
      port: Number(new URL(proxy.url).port),
      ca: proxy.ca.pem,
      ALPNProtocols: ['h2'],
    });
    const received: Buffer[] = [];
    socket.on('data', (bytes: Buffer) => received.push(bytes));
    // As no library sends them: the fields of a handshake are forbidden there (RFC 9113 §8.2.2).
    const fields = {
      ':method': 'GET',
      ':scheme': 'https',
      ':path': '/ws?recipient=bob',
      ':authority': new URL(proxy.url).host,
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

  nginxTest('nginx waits for longer than a poll or a stream may be silent', () => {
    const waits = [...CONFIGURATION.matchAll(/proxy_(?:read|send)_timeout (\d+)s;/g)].map(([, seconds]) =>
      Number(seconds),
    );
    expect(waits).toHaveLength(2);
    for (const seconds of waits) expect(seconds).toBeGreaterThan(60 + 5);
  });

  nginxTest('nginx lets go of a connection before the service does', async () => {
    const answer = await fetch(`${server.url}/healthz`);
    const service = /timeout=(\d+)/.exec(answer.headers.get('keep-alive') ?? '')?.[1];
    const proxy = /keepalive_timeout (\d+)s;/.exec(CONFIGURATION)?.[1];
    expect(Number(service)).toBeGreaterThan(Number(proxy) + 5);
  });
});
