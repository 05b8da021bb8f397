/** Bodies of publishes: what they say, how it is written, and how it is sent. */
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import {
  harmlessJson,
  hostileJson,
  type Json,
  Members,
  crowded,
  mutateBytes,
  nested,
  writeJson,
} from './hostile-json.ts';
import { hostileText, INHERITED, INJECTIONS } from '../support/hostile-text.ts';
import { ADDRESSES, type Person } from '../support/persons.ts';
import type { Random } from '../support/random.ts';

export interface HostileBody {
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: Buffer;
  readonly whole: boolean;
  readonly publishes: number;
}

/** Names that the server's own events have are types like any other. */
const TYPES = [
  'bye',
  'ready',
  'live',
  'heartbeat',
  'presence',
  'message',
  'message',
  'error',
  'a'.repeat(64),
];
const JSON_TYPES = [
  'application/json',
  'Application/JSON; charset=UTF-8',
  'application/json;charset="utf-8"',
];
const OTHER_TYPES = ['text/plain', 'application/json; charset=utf-16', 'application/jsonp', '', 'a/b\u0085'];
const FORM = 'application/x-www-form-urlencoded';
const MIB = 1024 * 1024;

let bomb: Buffer | undefined;

export function hostileBody(random: Random, person: Person): HostileBody {
  const isForm = random.chance(0.1);
  let bytes = isForm ? Buffer.from(form(random, person)) : hostileJsonText(random, person);
  if (random.chance(0.1)) bytes = mutateBytes(bytes, random);
  const type = random.chance(0.95) ? (isForm ? FORM : random.pick(JSON_TYPES)) : random.pick(OTHER_TYPES);
  const publishes = Math.max(1, bytes.toString('latin1').split('recipient').length - 1);
  const { bytes: sent, encoding } = compressed(random, bytes);
  const headers: [string, string][] = [
    ['Content-Type', type],
    ...encoding.map((one): [string, string] => ['Content-Encoding', one]),
  ];
  return { ...framed(random, sent, headers), publishes };
}

/** The JSON of a publish, or what is nearly that. */
export function hostileJsonText(random: Random, person: Person): Buffer {
  const single = message(random, person);
  if (random.chance(0.04)) replace(single, 'content', nested(random));
  if (random.chance(0.02)) single.list.push(random.pick(single.list));
  if (random.chance(0.02)) replace(single, 'content', crowded(random));
  let value: Json = single;
  if (random.chance(0.12)) {
    value = Array.from({ length: random.chance(0.05) ? 1001 : random.integer(0, 4) }, () =>
      random.chance(0.95) ? message(random, person) : hostileJson(random),
    );
  } else if (random.chance(0.02)) {
    value = hostileJson(random);
  }
  const text = writeJson(value, random);
  const around = random.chance(0.95)
    ? text
    : random.pick([
        `\uFEFF${text}`,
        `${text}${text}`,
        `${text}\0`,
        ` \t\r\n${text}\n`,
        `${text},`,
        `(${text})`,
      ]);
  return Buffer.from(random.chance(0.003) ? around.padEnd(4 * MIB + 1) : around);
}

function replace({ list }: Members, name: string, value: Json): void {
  const at = list.findIndex(([one]) => one === name);
  if (at === -1) list.push([name, value]);
  else list[at] = [name, value];
}

function message(random: Random, person: Person): Members {
  const wild = random.chance(0.25);
  const allowed = ADDRESSES.filter((recipient) => person.maySend({ sender: person.name, recipient }));
  const recipient = random.pick(allowed.length > 0 && random.chance(0.9) ? allowed : ADDRESSES);
  const list: [string, Json][] = [
    ['recipient', recipient],
    ['content', harmlessJson(random)],
  ];
  const sender = random.pick(ADDRESSES);
  if (random.chance(0.3)) list.push(['sender', person.maySend({ sender, recipient }) ? sender : person.name]);
  if (random.chance(0.3)) list.push(['type', random.pick(TYPES)]);
  if (random.chance(0.15)) list.push(['idempotencyKey', `${random.pick(INJECTIONS)}${random.integer(1, 9)}`]);
  else if (random.chance(0.08)) list.push(['ephemeral', true]);
  else if (random.chance(0.03)) list.push(['ttl', random.integer(1, 1000)]);
  else if (random.chance(0.05)) {
    const marker = new Members([['messageId', random.integer(1, 60)]]);
    return new Members([
      ['recipient', recipient],
      ['type', 'read'],
      ['content', marker],
    ]);
  }
  if (wild) spoil(random, list);
  return new Members(list);
}

/** Breaks a rule or two. */
function spoil(random: Random, list: [string, Json][]): void {
  do {
    const at = random.integer(0, list.length - 1);
    const [name] = list[at] ?? ['recipient'];
    const names = ['sender', 'recipient', 'type', 'content', 'idempotencyKey', 'ttl', 'ephemeral', 'id'];
    switch (random.integer(0, 4)) {
      case 0:
        list[at] = [name, random.chance(0.5) ? hostileText(random) : hostileJson(random)];
        break;
      case 1:
        list.push([random.pick([...INHERITED, ...names, hostileText(random)]), hostileJson(random)]);
        break;
      case 2:
        list.splice(at, 1);
        break;
      case 3:
        // A name twice.
        list.unshift([name, random.pick([...ADDRESSES, hostileText(random)])]);
        break;
      default:
        list.push(['content', hostileText(random).repeat(random.pick([1, 10, 2000]))]);
    }
  } while (random.chance(0.4) && list.length > 0);
}

function form(random: Random, person: Person): string {
  const encode = (value: Json): string => {
    const text = typeof value === 'string' ? value : writeJson(value, random);
    return random.chance(0.95) ? encodeURIComponent(text.toWellFormed()) : text;
  };
  const pairs = message(random, person).list.map(([name, value]) => `${encode(name)}=${encode(value)}`);
  return pairs.join(random.chance(0.95) ? '&' : random.pick([';', '&&', '&=&', '\n']));
}

function compressed(random: Random, bytes: Buffer): { bytes: Buffer; encoding: string[] } {
  if (random.chance(0.85)) return { bytes, encoding: [] };
  bomb ??= gzipSync(Buffer.alloc(32 * MIB, ' '));
  const gzip = gzipSync(bytes);
  return random.pick([
    { bytes: gzip, encoding: ['gzip'] },
    { bytes: deflateSync(bytes), encoding: ['deflate'] },
    { bytes: brotliCompressSync(bytes), encoding: ['br'] },
    { bytes: gzip.subarray(0, gzip.length - 5), encoding: ['gzip'] },
    { bytes: mutateBytes(gzip, random), encoding: ['gzip'] },
    { bytes, encoding: [random.pick(['gzip', 'br', 'deflate', 'zstd', 'identity', hostileText(random)])] },
    { bytes: gzipSync(gzip), encoding: ['gzip', 'gzip'] },
    ...(random.chance(0.2) ? [{ bytes: bomb, encoding: ['gzip'] }] : []),
  ]);
}

function framed(
  random: Random,
  bytes: Buffer,
  headers: [string, string][],
): { headers: [string, string][]; body: Buffer; whole: boolean } {
  const length: [string, string] = ['Content-Length', String(bytes.length)];
  const chunked: [string, string] = ['Transfer-Encoding', 'chunked'];
  const kind = random.next();
  if (kind < 0.85) return { headers: [...headers, length], body: bytes, whole: true };
  const chunks = inChunks(random, bytes);
  if (kind < 0.93) return { headers: [...headers, chunked], body: chunks, whole: true };
  const wrong = random.pick(['0', '-1', '1', '999999', '1e3', '0x10', '5, 5', '18446744073709551616', '']);
  return {
    ...random.pick([
      { headers: [...headers, ['Content-Length', wrong] as [string, string]], body: bytes },
      { headers: [...headers, length, ['Content-Length', wrong] as [string, string]], body: bytes },
      { headers: [...headers, length, chunked], body: chunks },
      { headers: [...headers, length], body: bytes.subarray(0, bytes.length - 1) },
      { headers: [...headers, chunked], body: mutateBytes(chunks, random) },
      { headers: [...headers, ['Transfer-Encoding', 'gzip'] as [string, string]], body: bytes },
      { headers, body: bytes },
    ]),
    whole: false,
  };
}

function inChunks(random: Random, bytes: Buffer): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at < bytes.length;) {
    const chunk = bytes.subarray(at, at + random.integer(1, Math.max(1, bytes.length)));
    const extension = random.chance(0.1) ? ';name="va\\"lue"' : '';
    parts.push(Buffer.from(`${chunk.length.toString(16)}${extension}\r\n`), chunk, Buffer.from('\r\n'));
    at += chunk.length;
  }
  return Buffer.concat([...parts, Buffer.from('0\r\n\r\n')]);
}
