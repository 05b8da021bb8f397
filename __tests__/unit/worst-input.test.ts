/** Text of a client is looked at in time that grows as its length: each input here is the worst for what looks at it. */
import { describe, expect, test } from '@jest/globals';
import proxyaddr from 'proxy-addr';
import { addressFault } from '../../src/address.ts';
import { KEY } from '../../src/message-rules.ts';
import { readPublication } from '../../src/publish/draft.ts';
import { type FieldError, pointerToken } from '../../src/errors.ts';
import { bearerOf } from '../../src/http/authenticate.ts';
import { checkContentType, parseBody } from '../../src/http/body.ts';
import type { RoutedRequest } from '../../src/http/handler.ts';
import { Origins } from '../../src/http/origins.ts';
import { originForm, parsePairs, Query } from '../../src/http/query.ts';
import { SessionCookie } from '../../src/http/session-cookie.ts';
import { hasToken, withoutTokens } from '../../src/http/signed-token.ts';
import { STREAM_PARAMETERS } from '../../src/http/stream-request.ts';
import { parseJson, textIn } from '../../src/http/strict-json.ts';
import { parseCursor } from '../../src/log/cursor.ts';
import { PushHosts } from '../../src/push/push-hosts.ts';
import { parseRetryAfter } from '../../src/push/retry.ts';
import { isHandshake } from '../../src/ws/handshake.ts';

const KIB = 1024;
/** So much longer is the longer input. What is quadratic takes 1,024 times as long, on a busy machine too. */
const TIMES = 32;

/** A text of a length that is made of repetitions. */
const of = (part: string, length: number): string =>
  part.repeat(Math.ceil(length / part.length)).slice(0, length);

const request = (fields: object, headers: Record<string, string> = {}): RoutedRequest =>
  ({ method: 'GET', url: '/ws', httpVersion: '1.1', headers, ...fields }) as unknown as RoutedRequest;
const header =
  (look: (asked: RoutedRequest) => unknown, name: string, more: Record<string, string> = {}) =>
  (value: string): unknown =>
    look(request({}, { ...more, [name]: value }));
const cookie = new SessionCookie({ publicUrl: undefined, basePath: '' });
const sessionsOf = (asked: RoutedRequest): string[] => cookie.read(asked);
const query = (text: string): void => {
  const asked = new Query(`/stream?${text}`, STREAM_PARAMETERS);
  asked.inboxes('own');
  asked.addresses('presence', STREAM_PARAMETERS.presence);
  asked.integer('last', 0, STREAM_PARAMETERS.last);
  asked.check();
};
const json = (text: string): unknown => parseJson(Buffer.from(text), { name: 'body', draftAt: [] });
const publication = (fields: Record<string, unknown>): unknown => {
  const errors: FieldError[] = [];
  return readPublication(fields, '', { defaultSender: 'a', mayRead: () => true }, errors);
};
const form = (text: string): unknown =>
  parseBody(request({ body: Buffer.from(text) }, { 'content-type': 'application/x-www-form-urlencoded' }));
const open = new Origins({ open: true, allowed: [], publicUrl: undefined });
const admit = (asked: RoutedRequest): unknown => open.admit(asked, {} as never);
const contentType = (asked: RoutedRequest): void => checkContentType(asked);
const trust = proxyaddr.compile(['127.0.0.1/8', '::1/128', '10.0.0.0/8']);
const client = (asked: RoutedRequest): unknown =>
  proxyaddr(Object.assign(asked, { socket: { remoteAddress: '127.0.0.1' } }), trust);
const handshake = header(isHandshake, 'connection', { upgrade: 'websocket' });
const hosts = new PushHosts(['*.push.example']);

/** The shortest of some runs, in milliseconds; what it throws is its answer. */
function timeOf(look: (text: string) => unknown, text: string): number {
  let shortest = Infinity;
  for (let run = 0; run < 3 && shortest > 1; run++) {
    const began = performance.now();
    try {
      look(text);
    } catch {
      // A refusal.
    }
    shortest = Math.min(shortest, performance.now() - began);
  }
  return shortest;
}

describe('the worst input of each reader', () => {
  test.each<[string, (text: string) => unknown, (length: number) => string]>([
    ['a query of beginnings of tokens', hasToken, (length) => of('eyJ', length)],
    ['a query of beginnings of tokens with dots', hasToken, (length) => of('eyJ.', length)],
    ['a query of tokens without an end', hasToken, (length) => of('eyJ.a', length)],
    ['a query of whole tokens', withoutTokens, (length) => of('eyJ.a.', length)],
    ['a query of dots after a token', withoutTokens, (length) => `eyJ${of('.', length)}`],
    ['a query of names', query, (length) => of('a&', length)],
    [
      'a query of names that all differ',
      query,
      (length) => Array.from({ length: length / 8 }, (_, n) => `${n}`).join('&'),
    ],
    ['a query of addresses', query, (length) => of('recipient=%20&', length)],
    [
      'a query of addresses that all differ',
      query,
      (length) => Array.from({ length: length / 20 }, (_, n) => `recipient=${n}`).join('&'),
    ],
    ['a query of equals signs', query, (length) => of('=', length)],
    ['a query of plus signs', parsePairs, (length) => of('+', length)],
    ['a query of percent signs', parsePairs, (length) => of('%25', length)],
    ['a query of digits', query, (length) => `last=${of('1', length)}`],
    ['a target with a long host', originForm, (length) => `http://${of('a:', length)}`],
    ['a target of slashes', originForm, (length) => of('/', length)],
    ['a cursor of digits', parseCursor, (length) => of('1', length)],
    ['a cursor of dashes', parseCursor, (length) => of('1-', length)],
    ['a bearer of spaces', header(bearerOf, 'authorization'), (length) => `Bearer${of(' ', length)}`],
    [
      'a bearer that ends badly',
      header(bearerOf, 'authorization'),
      (length) => `Bearer ${of('a=', length)} `,
    ],
    ['cookies of semicolons', header(sessionsOf, 'cookie'), (length) => of(';', length)],
    ['cookies of spaces', header(sessionsOf, 'cookie'), (length) => of('  a;', length)],
    ['cookies of sessions', header(sessionsOf, 'cookie'), (length) => of('__Host-tidings=a;', length)],
    [
      'a content type of parameters',
      header(contentType, 'content-type'),
      (length) => `application/json${of(';a', length)}`,
    ],
    ['a content type of spaces', header(contentType, 'content-type'), (length) => `a${of(' ', length)}b`],
    ['a connection of commas', handshake, (length) => of(', ', length)],
    ['a connection of spaces', handshake, (length) => `,${of(' ', length)}x`],
    ['a connection of upgrades', handshake, (length) => of('upgrade ', length)],
    ['a connection of tabs behind it', handshake, (length) => `upgrade${of('\t', length)}x`],
    [
      'a target that is nearly that of a socket',
      (url) => isHandshake(request({ url })),
      (length) => `http://${of('ws', length)}`,
    ],
    ['an origin of labels', header(admit, 'origin'), (length) => `http://${of('a.', length)}`],
    ['an origin of digits', header(admit, 'origin'), (length) => `http://${of('1.', length)}`],
    ['a host of ports', header(admit, 'host'), (length) => of(':1', length)],
    ['a host of digits', header(admit, 'host'), (length) => `a:${of('1', length)}x`],
    [
      'a forwarding header',
      (name) => admit(request({}, { [name]: '1' })),
      (length) => `x-forwarded-${of('x-forwarded-', length)}`,
    ],
    ['proxies', header(client, 'x-forwarded-for'), (length) => of('127.0.0.1,', length)],
    ['proxies of one long address', header(client, 'x-forwarded-for'), (length) => of('1', length)],
    ['proxies of IPv6', header(client, 'x-forwarded-for'), (length) => of(':0', length)],
    ['proxies of commas', header(client, 'x-forwarded-for'), (length) => of(', ', length)],
    ['an address', addressFault, (length) => of('a', length)],
    ['an address of spaces', addressFault, (length) => of(' ', length)],
    ['a key', KEY.fault, (length) => of('😀', length)],
    ['the pointer of a name', pointerToken, (length) => of('~/', length)],
    ['a type', (type) => publication({ recipient: 'a', content: 1, type }), (length) => of('a', length)],
    ['a recipient', (recipient) => publication({ recipient, content: 1 }), (length) => of('ä', length)],
    ['an endpoint', (url) => hosts.read(url), (length) => `https://${of('a.', length)}push.example`],
    ['an endpoint of labels', (url) => hosts.read(url), () => `https://${of('a-', 240)}.push.example`],
    [
      'the header Retry-After of a push service',
      (text) => parseRetryAfter(text, 0),
      (length) => of('1', length),
    ],
    ['JSON of backslashes', json, (length) => `"${of('\\\\', length)}"`],
    ['JSON of backslashes without an end', json, (length) => `"${of('\\', length)}`],
    ['JSON of escaped quotes', json, (length) => `"${of('\\"', length)}"`],
    ['JSON of spaces', json, (length) => `[${of(' ', length)}1]`],
    ['JSON of digits', json, (length) => of('1', length)],
    ['JSON of levels', json, (length) => of('[', length)],
    [
      'JSON of names',
      json,
      (length) =>
        `{${Array.from({ length: Math.min(20_000, length / 12) }, (_, n) => `"${n}":1`).join()},"0":1}`,
    ],
    ['JSON of the longest name twice', json, (length) => `{"${of('a', length)}":1,"${of('a', length)}":1}`],
    ['JSON of spaces behind names', json, (length) => `{"a"${of(' ', length)}:1,"a":1}`],
    ['JSON of spaces behind values', json, (length) => `{"a":1,"b":["a"${of(' ', length)}],"a":1}`],
    [
      'a ref behind spaces',
      (text) => textIn(Buffer.from(text), 'ref', 100),
      (length) => `{"ref"${of(' ', length)}`,
    ],
    [
      'a ref behind texts',
      (text) => textIn(Buffer.from(text), 'ref', 100),
      (length) => `{${of('"" ', length)}`,
    ],
    ['a form of plus signs', form, (length) => `content=${of('+', length)}`],
    ['a form of pairs', form, (length) => of('a&', length)],
  ])('the time for %s grows as its length', (_what, look, make) => {
    const [short, long] = [make(4 * KIB), make(4 * KIB * TIMES)];
    // A millisecond is added to both, so that what takes no time at all is not compared.
    const growth = (timeOf(look, long) + 1) / (timeOf(look, short) + 1);
    expect(growth).toBeLessThan(TIMES * 8);
  });
});

test('a message with a thousand unknown fields is refused for a hundred of them, and for its other faults', () => {
  const unknown = Object.fromEntries(Array.from({ length: 1000 }, (_, index) => [`field${index}`, index]));
  const errors: FieldError[] = [];
  const context = { defaultSender: 'a', mayRead: () => true };
  readPublication({ ...unknown, recipient: 7, content: 1 }, '', context, errors);
  expect(errors).toHaveLength(101);
  expect(errors.at(-1)).toMatchObject({ path: '/recipient' });
});
