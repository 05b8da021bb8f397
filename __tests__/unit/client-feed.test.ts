/** The feed of a page: one message at a time, and the position behind those that were taken. */
import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import { createFeed } from '../../public/client/feed.js';
import type { Service } from '../../public/client/service.js';

type Frame = Parameters<ReturnType<typeof createFeed>['take']>[0];
type Message = Parameters<Parameters<typeof createFeed>[3]['onMessage']>[0];

const stored = (id: number): Message => ({
  id,
  sender: 'a',
  recipient: 'b',
  type: 'message',
  content: id,
  createdAt: '',
});

const frame = (event: string, id: string, data: object): Frame => ({
  event,
  id,
  data: JSON.stringify(data),
  at: 0,
});
const ready = (cursor: string): Frame => frame('ready', cursor, { type: 'ready', cursor, gap: false });
const messageFrame = (id: number): Frame => frame('message', `${id}-a`, stored(id));

/** A service with this log, which counts the pages that are asked for. */
class FakeService {
  asked = 0;
  readonly ids: number[];

  constructor(ids: number[]) {
    this.ids = ids;
  }

  get(_path: string, query: Iterable<readonly [string, string]>): Promise<object> {
    this.asked++;
    const after = Number.parseInt(new Map(query).get('after') ?? '0', 10);
    const messages = this.ids.filter((id) => id > after).slice(0, 1000);
    const last = messages.at(-1) ?? after;
    return Promise.resolve({
      messages: messages.map(stored),
      cursor: `${last}-a`,
      gap: false,
      more: last !== (this.ids.at(-1) ?? after),
    });
  }
}

function feedOf(ids: number[], onMessage: (message: Message) => unknown) {
  const service = new FakeService(ids);
  const kept: string[] = [];
  const feed = createFeed(service as unknown as Service, [['recipient', 'b']], undefined, {
    onMessage,
    onEvent: () => undefined,
    onGap: () => undefined,
    onMoved: (cursor) => kept.push(cursor),
  });
  return { feed, service, kept };
}

const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1);

test('messages that are taken at once are told in the same turn', () => {
  const told: number[] = [];
  const { feed } = feedOf([], ({ id }) => void told.push(id));
  feed.take(ready('0'), undefined);
  for (const id of upTo(3)) feed.take(messageFrame(id), undefined);
  expect(told).toEqual([1, 2, 3]);
  expect(feed.cursor).toBe('3-a');
});

test('the next message waits for the promise of the one before, and the position moves when it has settled', async () => {
  const begun: number[] = [];
  const settle: (() => void)[] = [];
  const { feed, kept } = feedOf([], ({ id }) => {
    begun.push(id);
    return new Promise<void>((resolve) => settle.push(resolve));
  });
  feed.take(ready('0'), undefined);
  for (const id of upTo(3)) feed.take(messageFrame(id), undefined);
  await turn();
  expect([begun, feed.cursor, kept]).toEqual([[1], '0', ['0']]);
  settle[0]?.();
  await turn();
  expect([begun, feed.cursor, kept]).toEqual([[1, 2], '1-a', ['0', '1-a']]);
  // A page that closes while it works on one has that one done when it says so, and gets no other.
  feed.close();
  settle[1]?.();
  await turn();
  expect([begun, feed.cursor]).toEqual([[1, 2], '2-a']);
});

test('a page that is slower than its messages keeps a bounded number waiting, and still gets all of them in order', async () => {
  const ids = upTo(5000);
  const told: number[] = [];
  let isBlocked = true;
  let release: () => void = () => undefined;
  const blocked = new Promise<void>((resolve) => (release = resolve));
  const { feed, service } = feedOf(ids, ({ id }) => {
    told.push(id);
    return isBlocked ? blocked : undefined;
  });
  feed.take(ready('0'), undefined);
  for (const id of ids) feed.take(messageFrame(id), undefined);
  feed.take(frame('live', '5000-a', { type: 'live', cursor: '5000-a', replayed: 5000 }), undefined);
  await turn();
  expect([told, service.asked]).toEqual([[1], 0]);
  isBlocked = false;
  release();
  while (told.length < ids.length) await turn();
  expect(told).toEqual(ids);
  // The first of them came by the stream, the others by pages.
  expect(service.asked).toBe(4);
  feed.take(messageFrame(5001), undefined);
  await turn();
  expect(told.at(-1)).toBe(5001);
});

test('the position within a page belongs to the log of that page, so that another log is noticed', async () => {
  const settle: (() => void)[] = [];
  const { feed, kept } = feedOf([], () => new Promise<void>((resolve) => settle.push(resolve)));
  void feed.takePage({ messages: [1, 2].map(stored), cursor: '2-b', gap: false, more: false });
  settle[0]?.();
  await turn();
  expect(feed.cursor).toBe('1-b');
  expect(kept).toEqual(['1-b']);
});
