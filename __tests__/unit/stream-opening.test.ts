import type { IncomingMessage } from 'node:http';
import { beforeEach, expect, test } from '@jest/globals';
import { EVERYBODY, type Identity } from '../../src/auth/identity.ts';
import { KeysUnavailable } from '../../src/auth/key-set.ts';
import { Refusal } from '../../src/errors.ts';
import { FairScheduler } from '../../src/fair-scheduler.ts';
import { type Authenticator, SessionRefused } from '../../src/http/authenticate.ts';
import type { ProblemParts } from '../../src/http/problem.ts';
import { type StreamExchange, StreamOpening } from '../../src/http/stream-opening.ts';
import { Hub } from '../../src/hub/hub.ts';
import { LogBehind, LogUnreadable } from '../../src/log/message-log.ts';
import { RefusalCounters } from '../../src/metrics/counters/refusal-counters.ts';
import { sseFraming } from '../../src/sse/frame.ts';
import type { StreamRequestParts } from '../../src/http/stream-request.ts';
import type { ClientStream, Transport } from '../../src/stream/client-stream.ts';
import type { Connection, ConnectionOwner } from '../../src/wire/connection.ts';
import { until } from '../support/until.ts';

/** Everything that happens to a client, in order. */
let events: string[];
let stream: ClientStream | undefined;
let refusals: RefusalCounters;
/** The reason for which the service takes no stream. */
let refusalFor: 'shutdown' | 'over-limit' | undefined;
/** Why this node is cut off from the others. */
let cutOff: string | undefined;
/** The answer of the log to a cursor that is ahead. */
let reached: Promise<void> | undefined;
let identify: () => Promise<Identity>;
let newest: () => { after: number; gap: false; purgedThrough: number };

/** A connection of a protocol that the service does not speak. */
class FakeConnection implements Connection {
  readonly lastWrite = 0;
  readonly idle = true;
  readonly buffered = 0;
  readonly room = 256 * 1024;
  start(owner: ConnectionOwner): void {
    events.push(`start ${owner.constructor.name}`);
  }
  write(bytes: Uint8Array): void {
    events.push(...(String(Buffer.from(bytes)).match(/(?<=^event: ).*$/gm) ?? []));
  }
  end(bytes: Uint8Array): void {
    this.write(bytes);
  }
  cut(): void {
    events.push('cut');
  }
}

/** A request in that protocol. */
class FakeExchange implements StreamExchange {
  readonly request: IncomingMessage;
  readonly framing = sseFraming;
  readonly status = 200;
  readonly publishes = false;
  isGone = false;
  takesBye = true;
  headersOnly = false;

  constructor(url: string) {
    const socket = { destroy: () => events.push('destroyed') };
    this.request = { url, headers: {}, socket } as unknown as IncomingMessage;
  }

  sendBye(bytes: Buffer, reason: string): void {
    const [, cursor = 'none'] = /^id: (.*)$/m.exec(bytes.toString()) ?? [];
    events.push(`bye ${reason}, cursor ${cursor}`);
  }

  answer(_identity: Identity, begin: (open: Transport['open']) => ClientStream): void {
    if (this.headersOnly) events.push('headers');
    else stream = begin(() => new FakeConnection());
  }
}

beforeEach(() => {
  events = [];
  stream = undefined;
  refusals = new RefusalCounters();
  refusalFor = undefined;
  cutOff = undefined;
  reached = undefined;
  identify = () => Promise.resolve(EVERYBODY);
  newest = () => ({ after: 7, gap: false, purgedThrough: 0 });
});

const serve = (exchange: FakeExchange): Promise<void> => {
  const scheduler = new FairScheduler();
  const parts = {
    hub: new Hub(String, scheduler),
    scheduler,
    presence: {},
    outage: { reason: cutOff, retry: { min: 20_000, max: 20_000 } },
    heartbeats: { seconds: 20, add: () => undefined, remove: () => undefined },
    connections: {
      refusalFor: () => refusalFor,
      join: () => events.push('join'),
      leave: () => events.push('leave'),
    },
    log: {
      head: 7,
      cursor: String,
      newest: () => newest(),
      reach: () => reached,
      locate: () => newest(),
      readAfter: () => ({ more: false, through: 7, purgedThrough: 0 }),
    },
  } as unknown as StreamRequestParts;
  const requests = {
    answered: (_request: unknown, status: number) => events.push(`answered ${status}`),
    failed: (_request: unknown, status: number) => events.push(`failed ${status}`),
    opened: () => events.push('opened'),
    streamFailed: () => events.push('stream failed'),
  };
  const problems = { requests, refusals } as unknown as ProblemParts;
  return new StreamOpening(parts, { identify: () => identify() } as unknown as Authenticator, problems).serve(
    exchange,
  );
};

const counted = (): string[] =>
  [...refusals.counts].filter(({ count }) => count > 0).map(({ reason, status }) => `${reason} ${status}`);

test('a protocol that only defines its requests and answers gets whole streams', async () => {
  await serve(new FakeExchange('/poll?recipient=bob'));
  await until(() => events.includes('live'));
  expect(events).toEqual(['start ClientStream', 'ready', 'join', 'opened', 'live']);
  stream?.shutdown();
  expect(events.slice(5)).toEqual(['leave', 'bye']);
  expect(counted()).toEqual([]);
});

const fails = (error: Error) => (): void => void (identify = () => Promise.reject(error));

test.each<[string, string, () => void, string[], string, number]>([
  [
    'whose session is not valid',
    '',
    fails(new SessionRefused('It has expired')),
    ['bye token-expired, cursor none', 'answered 200'],
    'unauthenticated 200',
    401,
  ],
  [
    'without a cursor, over the limit',
    '',
    () => (refusalFor = 'over-limit'),
    ['bye over-limit, cursor 7', 'answered 200'],
    'unavailable 200',
    503,
  ],
  [
    'with a cursor, while the service ends',
    '&lastEventId=3-abcdef',
    () => (refusalFor = 'shutdown'),
    ['bye shutdown, cursor none', 'answered 200'],
    'unavailable 200',
    503,
  ],
  [
    'without a cursor, while this node is cut off',
    '',
    () => (cutOff = 'it is cut off'),
    ['bye disconnected, cursor 7', 'answered 200'],
    'unavailable 200',
    503,
  ],
  [
    'whose token cannot be checked now',
    '',
    fails(new KeysUnavailable('the keys cannot be had')),
    ['bye unavailable, cursor none', 'failed 503'],
    'unavailable 200',
    503,
  ],
])(
  'a client %s is told by bye, or by a status if it takes no bye',
  async (_who, query, given, told, count, status) => {
    given();
    const exchange = new FakeExchange(`/poll?recipient=bob${query}`);
    await serve(exchange);
    expect(events).toEqual(told);
    expect(counted()).toEqual([count]);

    events = [];
    exchange.takesBye = false;
    const refusal: unknown = await serve(exchange).catch((error: unknown) => error);
    if (refusal instanceof Refusal) expect(refusal.status).toBe(status);
    else expect(refusal).toBeInstanceOf(KeysUnavailable);
    expect(events).toEqual([]);
  },
);

/** Opens a stream whose cursor is ahead. Settle it with what it returns. */
async function openAhead(): Promise<{ settle: () => void; fail: (error: Error) => void }> {
  let settle = (): void => undefined;
  let fail: (error: Error) => void = settle;
  reached = new Promise((resolve, reject) => {
    settle = resolve;
    fail = reject;
  });
  await serve(new FakeExchange('/poll?recipient=bob&lastEventId=9-abcdef'));
  expect(events).toEqual(['start ClientStream', 'join', 'opened']);
  expect([stream?.state, stream?.behind(99), stream?.messages]).toEqual(['waiting', 0, 0]);
  events = [];
  return { settle, fail };
}

test('a stream whose cursor is ahead of this node begins when the node has caught up', async () => {
  const { settle } = await openAhead();
  settle();
  await until(() => events.includes('live'));
  expect(events).toEqual(['ready', 'live']);
});

test.each<[string, () => void, string[]]>([
  ['its token ends', () => stream?.expire(), ['leave', 'bye']],
  ['the service ends', () => stream?.shutdown(), ['leave', 'bye']],
  ['the node is cut off', () => stream?.disconnect({ min: 1000, max: 1000 }), ['leave', 'bye']],
  ['its client goes', () => stream?.closed(false), ['leave']],
])('a stream that waits ends if %s, and does not begin after that', async (_what, end, told) => {
  const { settle } = await openAhead();
  stream?.drained();
  end();
  settle();
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(events).toEqual(told);
});

test('a stream that waits is told that the node is behind, or cut if the log cannot be read', async () => {
  const waiting = await openAhead();
  waiting.fail(new LogBehind('this node is behind'));
  await until(() => events.length > 0);
  expect([events, stream?.ended]).toEqual([['leave', 'bye'], 'behind']);

  events = [];
  const other = await openAhead();
  newest = () => {
    throw new LogUnreadable('the disk fails');
  };
  other.settle();
  await until(() => events.includes('cut'));
  expect([events, stream?.ended]).toEqual([['stream failed', 'leave', 'cut'], 'failed']);
});

test('a refusal that will not pass is a status for every client', async () => {
  fails(new Refusal('unauthenticated', 'A token is required.'))();
  await expect(serve(new FakeExchange('/poll?recipient=bob'))).rejects.toMatchObject({ status: 401 });
  identify = () => Promise.resolve(EVERYBODY);
  await expect(serve(new FakeExchange('/poll?recipient=bob&last=x'))).rejects.toMatchObject({ status: 400 });
  expect(events).toEqual([]);
});

test('a client is told by bye that the log cannot be read, and no stream is left behind', async () => {
  newest = () => {
    throw new LogUnreadable('the disk fails');
  };
  await serve(new FakeExchange('/poll?recipient=bob'));
  expect(events).toEqual(['bye unavailable, cursor none', 'failed 503']);
});

test('no stream is opened for a client that went while its token was checked', async () => {
  const exchange = new FakeExchange('/poll?recipient=bob');
  exchange.isGone = true;
  await serve(exchange);
  expect(events).toEqual(['destroyed']);
});

test('no stream is opened for a request that asks for the headers only', async () => {
  const exchange = new FakeExchange('/poll?recipient=bob');
  exchange.headersOnly = true;
  await serve(exchange);
  expect(events).toEqual(['headers']);
});
