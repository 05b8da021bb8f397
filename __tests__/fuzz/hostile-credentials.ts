/** The claims of a request about its sender and origin. */
import { CORS_ORIGIN } from './answer-law.ts';
import type { Target } from './hostile-request.ts';
import { hostileText } from '../support/hostile-text.ts';
import type { Person } from '../support/persons.ts';
import type { Random } from '../support/random.ts';
import { SECRET, signText, signToken } from '../support/tokens.ts';

type Header = readonly [name: string, value: string];

export interface Credentials {
  readonly headers: readonly Header[];
  /** The person whose good token it is; in open mode anybody. */
  readonly person: Person | undefined;
  readonly barred: boolean;
}

/** Hosts and origins that are not this machine, though some look like it. */
const FOREIGN_HOSTS = [
  'evil.example',
  'evil.example:80',
  '127.0.0.1.evil.example',
  'localhost.evil.example',
  'localhost@evil.example',
  'evil.example#localhost',
  '0.0.0.0',
  '192.168.0.1',
  '[::]',
  '[::1]x',
  '127.0.0.1 evil.example',
  '127.0.0.1, evil.example',
  'localhost:x',
  '',
];
const FOREIGN_ORIGINS = [
  'http://evil.example',
  'null',
  '',
  'file://',
  'http://127.0.0.1.evil.example',
  'http://localhost@evil.example',
  'http://evil.example/http://localhost',
  'chrome-extension://localhost',
  'http://localhost, http://evil.example',
  '__proto__',
];
const FORWARDING = [
  'Forwarded',
  'Via',
  'X-Forwarded-For',
  'X-Forwarded-Host',
  'X-Forwarded-Proto',
  'X-Real-IP',
  'CF-Connecting-IP',
];

export function hostileCredentials(random: Random, target: Target): Credentials {
  return target.open ? withoutKey(random, target) : withKey(random, target);
}

function withoutKey(random: Random, { port, persons }: Target): Credentials {
  const person = random.pick(persons);
  const host: Header = [
    'Host',
    random.pick([`127.0.0.1:${port}`, 'localhost', `LOCALHOST:${port}`, '[::1]:1']),
  ];
  const local: Header[] = random.chance(0.2)
    ? [['Origin', `http://localhost:${random.integer(1, 9999)}`]]
    : [];
  if (random.chance(0.9)) return { headers: [host, ...local], person, barred: false };
  const headers = random.pick<Header[]>([
    [['Host', random.pick(FOREIGN_HOSTS)]],
    [host, ['Host', random.pick(FOREIGN_HOSTS)]],
    [host, ['Origin', random.pick(FOREIGN_ORIGINS)]],
    [host, ['Origin', 'http://localhost'], ['Origin', random.pick(FOREIGN_ORIGINS)]],
    [host, ...local, [random.pick(FORWARDING), random.pick(['', '127.0.0.1', 'x'])]],
    [
      host,
      ['Sec-Fetch-Site', 'cross-site'],
      ['Sec-Fetch-Mode', random.pick(['no-cors', 'cors', 'websocket'])],
    ],
    [host, ['Sec-Fetch-Site', 'cross-site'], ['Sec-Fetch-Mode', 'navigate'], ['Sec-Fetch-Dest', 'iframe']],
  ]);
  return { headers, person, barred: true };
}

function withKey(random: Random, { port, persons, worthless }: Target): Credentials {
  const host: Header = ['Host', `127.0.0.1:${port}`];
  const person = random.pick(persons);
  const other = random.pick(persons);
  const bearer: Header = ['Authorization', `${random.pick(['Bearer', 'bearer', 'Bearer '])} ${person.token}`];
  const cookie: Header = [
    'Cookie',
    `a=b; tidings=${person.token}; ${random.pick(['__proto__=x', 'c', '=', ''])}`,
  ];
  const ownOrigin: Header = ['Origin', random.pick([`http://127.0.0.1:${port}`, CORS_ORIGIN])];
  const foreign: Header = ['Origin', random.pick([...FOREIGN_ORIGINS, `http://localhost:${port}`])];
  const kind = random.next();
  if (kind < 0.65) {
    const origin = random.chance(0.1) ? [random.chance(0.5) ? foreign : ownOrigin] : [];
    // The header is who one is, whatever the cookie says.
    const session: Header[] = random.chance(0.1) ? [['Cookie', `tidings=${other.token}`]] : [];
    return { headers: [host, bearer, ...origin, ...session], person, barred: false };
  }
  if (kind < 0.78) return { headers: [host, cookie, ownOrigin], person, barred: false };
  // With a cookie, requests that change something are refused, and requests that read are not.
  if (kind < 0.85)
    return { headers: [host, cookie, ...(random.chance(0.7) ? [foreign] : [])], person, barred: false };
  const bad = random.pick(worthless);
  const headers = random.pick<Header[]>([
    [host],
    [host, ['Authorization', `Bearer ${bad}`]],
    [host, ['Authorization', `Bearer ${bad}`], cookie],
    [
      host,
      [
        'Authorization',
        random.pick(['', 'Bearer', `Basic ${person.token}`, `Bearer ${hostileText(random)}`]),
      ],
    ],
    [host, ['Authorization', `Bearer ${person.token} ${person.token}`]],
    [host, ['Cookie', `tidings=${bad}`], ownOrigin],
    [host, ['Cookie', `tidings=${person.token}; tidings=${other.token}`], ownOrigin],
    [host, ['Cookie', `tidings="${person.token}"`], ownOrigin],
    [host, ['Cookie', `Tidings=${person.token}; tidings-x=${person.token}`], ownOrigin],
    [host, ['Cookie', hostileText(random)], ownOrigin],
  ]);
  return { headers, person: undefined, barred: true };
}

/** Whether a request with a cookie came from a page that may not change anything with it. */
export function isForeignWrite({ headers }: Credentials, method: string): boolean {
  const names = headers.map(([name]) => name);
  const origin = headers.find(([name]) => name === 'Origin')?.[1];
  return (
    /^(POST|PUT|DELETE)$/.test(method) &&
    names.includes('Cookie') &&
    !names.includes('Authorization') &&
    (origin === undefined || FOREIGN_ORIGINS.includes(origin) || origin.startsWith('http://localhost:'))
  );
}

/** Tokens that are good for nothing. */
export async function worthlessTokens(): Promise<string[]> {
  const exp = Math.floor(Date.now() / 1000) + 3600;
  const good = await signToken({ sub: 'root', tidings: { read: ['*'], sendTo: ['*'] } });
  const [header = '', payload = '', signature = ''] = good.split('.');
  const none = Buffer.from('{"alg":"none"}').toString('base64url');
  const payloads = [
    '{}',
    'null',
    '[]',
    '"root"',
    `{"sub":"root"}`,
    `{"sub":"root","exp":"${exp}"}`,
    '{"sub":"root","exp":1e400}',
    '{"sub":"root","exp":1}',
    '{"sub":"root","exp":-1}',
    `{"sub":"root","exp":${exp},"nbf":${exp}}`,
    `{"exp":${exp}}`,
    ...['*', '', '$root', 'a\n\nid: 99', 'a\u0085', 'a'.repeat(129), 'e\u0301', ' root'].map((sub) =>
      JSON.stringify({ sub, exp }),
    ),
    `{"sub":["root"],"exp":${exp}}`,
    `{"sub":"root","__proto__":{"exp":${exp}}}`,
    ...[
      '[]',
      'null',
      '"*"',
      '{"read":"*"}',
      '{"read":["*","a*b"]}',
      '{"read":[["*"]]}',
      '{"read":{"0":"*","length":1}}',
      '{"__proto__":{"read":["*"]}}',
      '{"constructor":{}}',
      '{"Read":["*"]}',
      '{"rate":-1}',
      '{"rate":1e400}',
      '{"metrics":"true"}',
    ].map((tidings) => `{"sub":"root","exp":${exp},"tidings":${tidings}}`),
  ];
  return [
    `${none}.${payload}.`,
    `${none}.${payload}.${signature}`,
    `${header}.${payload}.`,
    `${header}.${payload}`,
    `${header}.${payload}.${signature}.${signature}`,
    `${header}.${payload}.${signature.slice(1)}`,
    `${header}.${payload.slice(4)}.${signature}`,
    '..',
    'x',
    'a'.repeat(8000),
    await signToken({ sub: 'root' }, `${SECRET}!`),
    ...(await Promise.all(payloads.map((text) => signText(text)))),
  ];
}
