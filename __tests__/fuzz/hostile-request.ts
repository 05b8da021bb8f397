/** Requests of every kind but the kind that a client means well with; a few of those too, so that something is stored. */
import { hostileBody } from './hostile-body.ts';
import { type Credentials, hostileCredentials, isForeignWrite } from './hostile-credentials.ts';
import { mutateBytes } from './hostile-json.ts';
import { hostileSocket } from './hostile-socket.ts';
import { hostileQuery, hostileTarget, PATHS } from './hostile-target.ts';
import { hostileCursor, hostileText } from '../support/hostile-text.ts';
import type { Person } from '../support/persons.ts';
import type { Random } from '../support/random.ts';
import type { WireRequest } from './wire-answer.ts';

export interface HostileRequest extends WireRequest {
  /** The person whose good token it carries; in open mode anybody. */
  readonly person: Person | undefined;
  /** It must not be let in: it comes from elsewhere, or with what is no token. */
  readonly barred: boolean;
  /** At most so many messages are stored by it. */
  readonly publishes: number;
}

/** The service that the requests are made for. */
export interface Target {
  readonly port: number;
  /** The tag of the server's run. */
  readonly tag: string;
  readonly persons: readonly Person[];
  readonly open: boolean;
  /** Tokens that are not good. */
  readonly worthless: readonly string[];
}

type Header = readonly [name: string, value: string];

const METHODS = 'GET HEAD POST PUT DELETE PATCH OPTIONS TRACE QUERY PROPFIND M-SEARCH PURGE'.split(' ');

/** No text in a header can have these: they end it, or the request is none. */
const BREAKS_HEADERS = /[^\t\P{Cc}]/u;

export function hostileRequest(random: Random, target: Target): HostileRequest {
  const kind = random.next();
  if (kind < 0.05) return garbage(random, target);
  const credentials = hostileCredentials(random, target);
  const { person } = credentials;
  if (kind < 0.6) {
    const body = hostileBody(random, person ?? random.pick(target.persons));
    const path = random.chance(0.97) ? '/messages' : hostileTarget(random, target);
    return build(random, target, credentials, { method: 'POST', path, ...body });
  }
  if (kind < 0.65) {
    const { path } = hostileQuery(random, target, person, '/ws');
    const socket = hostileSocket(random, person ?? random.pick(target.persons));
    return build(random, target, credentials, { method: 'GET', path, ...socket });
  }
  if (kind < 0.85) {
    const method = random.chance(0.9) ? 'GET' : 'HEAD';
    const { path, waits } = hostileQuery(random, target, person);
    return build(random, target, credentials, { method, path, whole: !waits });
  }
  const method = random.pick(METHODS);
  const path = random.chance(0.5) ? hostileTarget(random, target) : random.pick(PATHS);
  return build(random, target, credentials, { method, path });
}

/** Each token that is not good, as a bearer token and as a session: too many for chance to come to all. */
export function withEveryWorthlessToken({ port, worthless }: Target): HostileRequest[] {
  const headers = worthless.flatMap((token) => [
    `Authorization: Bearer ${token}`,
    `Cookie: tidings=${token}`,
  ]);
  return headers.map((header) => ({
    bytes: Buffer.from(`GET /messages HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n${header}\r\n\r\n`),
    method: 'GET',
    whole: true,
    person: undefined,
    barred: true,
    publishes: 0,
  }));
}

interface Parts {
  readonly method: string;
  readonly path: string;
  readonly headers?: readonly Header[];
  readonly body?: Buffer;
  readonly whole?: boolean;
  readonly publishes?: number;
}

function build(random: Random, target: Target, credentials: Credentials, parts: Parts): HostileRequest {
  const { method, path, body = Buffer.alloc(0), publishes = 0 } = parts;
  const headers: Header[] = [...credentials.headers, ...(parts.headers ?? []), ...strange(random, target)];
  const list = random.chance(0.1) ? headers.toReversed() : headers;
  const encoding = random.chance(0.8) ? 'utf8' : 'latin1';
  const lines = list.map(([name, value]) => Buffer.from(`${name}: ${value}\r\n`, encoding));
  const version = random.chance(0.97) ? '1.1' : random.pick(['1.0', '0.9', '2.0', '1.2', '']);
  const whole =
    parts.whole !== false &&
    !/[ \p{Cc}]/u.test(path) &&
    path !== '' &&
    version.startsWith('1.') &&
    headers.every(([name, value]) => !BREAKS_HEADERS.test(value) && /^[\w-]+$/.test(name));
  const bytes = Buffer.concat([
    Buffer.from(`${method} ${path} HTTP/${version}\r\n`, encoding),
    ...lines,
    Buffer.from('\r\n'),
    body,
  ]);
  const { person } = credentials;
  // A socket may publish, so it is a write.
  const intent = path.startsWith('/ws') ? 'POST' : method;
  const barred = credentials.barred || (!target.open && isForeignWrite(credentials, intent));
  if (random.chance(0.06)) {
    return { bytes: mutateBytes(bytes, random), method, whole: false, person, barred: false, publishes };
  }
  return { bytes, method, whole, person, barred: barred && whole, publishes };
}

/** Headers that have nothing to do with it, or more than one would like. */
function strange(random: Random, { tag, open }: Target): Header[] {
  const list: Header[] = [];
  while (random.chance(0.35)) {
    const text = hostileText(random);
    const header = random.pick<Header>([
      ['Last-Event-ID', hostileCursor(random, tag)],
      ['Last-Event-ID', hostileCursor(random, tag)],
      ['Idempotency-Key', text],
      ['Accept', random.pick(['text/event-stream', '*/*', 'application/xml', text])],
      ['Accept-Encoding', random.pick(['gzip', 'br;q=1', text])],
      ['Range', random.pick(['bytes=0-1', 'bytes=-1', 'bytes=9-1,2-3', text])],
      ['If-None-Match', random.pick(['*', '"x"', text])],
      ['If-Modified-Since', text],
      ['If-Match', text],
      ['Upgrade', 'websocket'],
      ['Connection', random.pick(['Upgrade', 'close', 'keep-alive', text])],
      ['X-Request-Id', text],
      ['X-HTTP-Method-Override', 'DELETE'],
      ['X-Original-URL', '/metrics'],
      ['Cookie', text],
      ['User-Agent', text],
      ['Referer', text],
      ['__proto__', text],
      ['constructor', text],
      ['Access-Control-Request-Method', 'POST'],
      open ? ['Sec-Fetch-User', '?1'] : ['Sec-Fetch-Site', 'cross-site'],
      ['X-Long', 'x'.repeat(random.pick([100, 9000, 17_000]))],
    ]);
    list.push(header);
    if (random.chance(0.1)) list.push(header);
  }
  return list;
}

/** Bytes that are no request at all. */
function garbage(random: Random, { port }: Target): HostileRequest {
  const host = `Host: 127.0.0.1:${port}\r\n`;
  const bytes = random.pick([
    Buffer.from(Array.from({ length: random.integer(1, 300) }, () => random.integer(0, 255))),
    Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
    Buffer.from('16030100c8010000c40303', 'hex'),
    Buffer.from('GET /healthz\r\n\r\n'),
    Buffer.from(`CONNECT evil.example:443 HTTP/1.1\r\n${host}\r\n`),
    Buffer.from(`GET  /healthz HTTP/1.1\r\n${host}\r\n`),
    Buffer.from(`GET /healthz HTTP/1.1\n${host.trim()}\n\n`),
    Buffer.from(`GET /healthz HTTP/1.1\r\n${host} folded: x\r\n\r\n`),
    Buffer.from(`GET /healthz HTTP/1.1\r\n${host}A\0B: x\r\n\r\n`),
    Buffer.from(`GET /healthz HTTP/1.1\r\n${host}: x\r\n\r\n`),
    Buffer.from(`\r\n\r\n\r\nGET /healthz HTTP/1.1\r\n${host}\r\n`),
    Buffer.from(`get /healthz HTTP/1.1\r\n${host}\r\n`),
    Buffer.from(`GET /healthz HTTP/1.1\r\n${host}${'a: b\r\n'.repeat(random.pick([101, 1000, 4000]))}\r\n`),
    Buffer.from(`GET /healthz HTTP/1.1\r\n${host}\r\n`.repeat(random.integer(2, 20))),
    Buffer.from(`GET /healthz HTTP/1.1\r\n${host}\r\nGET /stream HTTP/1.1\r\n${host}\r\n`),
    Buffer.from(hostileText(random)),
  ]);
  return { bytes, method: 'GET', whole: false, person: undefined, barred: false, publishes: 0 };
}
