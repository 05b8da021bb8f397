/** Request targets: paths that climb, hide or lie, and queries of every endpoint. */
import { hostileCursor, hostileText, INHERITED } from '../support/hostile-text.ts';
import type { Target } from './hostile-request.ts';
import { ADDRESSES, type Person } from '../support/persons.ts';
import type { Random } from '../support/random.ts';

/** Every path of the service. */
export const PATHS = [
  '/',
  '/client.js',
  '/favicon.svg',
  '/messages',
  '/messages/1',
  '/stream',
  '/ws',
  '/conversations',
  '/presence',
  '/session',
  '/push-key',
  '/push-subscriptions',
  '/healthz',
  '/readyz',
  '/metrics',
] as const;

/** Paths that are not what they look like. */
export function hostileTarget(random: Random, { port }: Target): string {
  const path = random.pick(PATHS);
  const text = hostileText(random);
  return random.pick([
    `/${path}`,
    `${path}/`,
    path.toUpperCase(),
    `/.${path}`,
    `/x/..${path}`,
    `/%2e%2e${path}`,
    path.replace('e', '%65'),
    path.replace('s', '%73').replace('t', '%74'),
    `${path}%00`,
    `${path}\0`,
    `${path}%2f`,
    `${path};x=1`,
    `${path}#x`,
    `${path}?`,
    `${path}?${text}`,
    `${path}${text}`,
    `/messages/${encodeURIComponent(text.toWellFormed())}`,
    `/messages/${text}`,
    '/messages/9007199254740993',
    '/messages/1e0',
    '/messages/%31',
    '/messages/%',
    '/messages/%zz',
    '/messages/%c0%af',
    '/messages/%ed%a0%80',
    `http://127.0.0.1:${port}${path}`,
    `http://evil.example${path}`,
    `http://127.0.0.1:x${path}`,
    'http://127.0.0.1:1x',
    `https://a:b@evil.example${path}?recipient=bob`,
    `ftp://evil.example${path}`,
    '*',
    'messages',
    '//evil.example/%2e%2e',
    '/\\evil.example',
    '/%',
    '/%zz',
    '/%c0%af%c0%ae',
    '/%ed%a0%80',
    '/../package.json',
    '/%2e%2e/package.json',
    '/..%2f..%2fpackage.json',
    '/..%5cpackage.json',
    '/../db/schema.sql',
    '/.env',
    '/.git/config',
    `/${'a'.repeat(random.pick([300, 5000, 15_000]))}`,
    `/${'../'.repeat(100)}etc/passwd`,
    '/client.js/',
    '/client.js/x',
    ...INHERITED.map((name) => `/${name}`),
  ]);
}

const PARAMETERS: Readonly<Record<string, readonly string[]>> = {
  '/stream': ['recipient', 'recipient', 'lastEventId', 'last', 'presence'],
  '/ws': ['recipient', 'recipient', 'lastEventId', 'last', 'presence'],
  '/messages': ['recipient', 'recipient', 'after', 'limit', 'wait', 'before', 'between', 'between'],
  '/messages/1': [],
  '/conversations': ['recipient', 'limit', 'before'],
  '/presence': ['recipient', 'recipient'],
  '/session': [],
  '/push-key': [],
  '/push-subscriptions': ['recipient'],
  '/healthz': [],
  '/readyz': [],
};
const NUMBERS = ['0', '1', '2', '50', '1000', '1001', '-1', '1e3', '1.0', '٣', '', '9'.repeat(400), 'latest'];
const TOKEN_NAMES = ['token', 'access_token', 'Authorization', 'JWT'];

/** A question to an endpoint, by default to any. `waits` where the answer may be held. */
export function hostileQuery(
  random: Random,
  { tag, worthless }: Target,
  person: Person | undefined,
  known = random.pick(Object.keys(PARAMETERS)),
): { path: string; waits: boolean } {
  const path = known === '/messages/1' ? `/messages/${random.integer(1, 200)}` : known;
  const names = PARAMETERS[known] ?? [];
  const own = person?.inboxes ?? [];
  const address = (): string =>
    random.chance(0.15)
      ? random.pick(['*', hostileText(random)])
      : random.pick(random.chance(0.6) && own.length > 0 ? own : ADDRESSES);
  const pairs: [string, string][] = [];
  const add = (name: string): void => {
    const value = /^(recipient|presence|between)$/.test(name)
      ? address()
      : /^(lastEventId|after|before)$/.test(name)
        ? hostileCursor(random, tag)
        : random.pick(NUMBERS);
    pairs.push([name, random.chance(0.9) ? value : hostileText(random)]);
  };
  if (names.includes('between') && random.chance(0.3)) {
    add('between');
    add('between');
    if (random.chance(0.3)) add('limit');
  } else if (names.length > 0) {
    if (random.chance(0.8)) add('recipient');
    for (const name of new Set(names)) if (random.chance(name === 'presence' ? 0.5 : 0.2)) add(name);
  }
  if (random.chance(0.06)) pairs.push([random.pick([...INHERITED, hostileText(random)]), 'x']);
  if (random.chance(0.03)) pairs.push([random.pick(TOKEN_NAMES), person?.token ?? worthless[0] ?? 'x']);
  if (random.chance(0.01)) for (let more = 0; more < 101; more++) pairs.push(['recipient', `a${more}`]);
  const query = pairs.map(([name, value]) => `${encode(random, name)}=${encode(random, value)}`);
  return {
    path: query.length === 0 ? path : `${path}?${query.join(random.chance(0.98) ? '&' : '&&')}`,
    waits: pairs.some(([name]) => name === 'wait'),
  };
}

function encode(random: Random, text: string): string {
  const encoded = encodeURIComponent(text.toWellFormed());
  if (random.chance(0.93)) return encoded;
  return random.pick([
    text,
    encodeURIComponent(encoded),
    encoded.toLowerCase(),
    encoded.replaceAll('%20', '+'),
    [...Buffer.from(text)].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join(''),
    `${encoded}%`,
    `${encoded}%ED%A0%80`,
    `${encoded}%FF`,
    `${encoded}[]`,
  ]);
}
