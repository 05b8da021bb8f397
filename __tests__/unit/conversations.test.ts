import { afterAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { Database } from 'better-sqlite3';
import { Budget } from '../../src/log/replica/budget.ts';
import type { Conversation, RoomState } from '../../src/log/conversation.ts';
import { Conversations } from '../../src/log/replica/conversations.ts';
import { prepareProjection, type Project } from '../../src/log/replica/projection.ts';
import { type ApplyPurge, preparePurge } from '../../src/log/replica/purge.ts';
import { Store } from '../../src/log/replica/store.ts';
import { isExpired, type Message } from '../../src/message.ts';
import { cleanUp } from '../support/server.ts';
import { type AppendBatches, draft, newDatabase, prepareAppends, TIME } from '../support/log-file.ts';
import { Random, withRandom, seedsOf } from '../support/random.ts';

/** When messages stored at `TIME` for a second have expired. */
const LATER = TIME + 1000;

interface ListedConversation extends Conversation {
  readonly lastMessage: Message;
}

/** Whether a message counts, as docs/protocol.md has it. */
function isCounted({ type, background }: Message): boolean {
  if (type === 'read') return false;
  return background === null ? type === 'message' : background === 0;
}

/** Computes conversations by the rules of docs/protocol.md from all messages, the slow way. */
function expected(messages: readonly Message[], address: string, now: number): ListedConversation[] {
  const alive = messages.filter((message) => !isExpired(message, now));
  const peers = new Map<string, Message[]>();
  for (const message of alive) {
    if (!isCounted(message)) continue;
    for (const [own, peer] of [
      [message.recipient, message.sender],
      [message.sender, message.recipient],
    ] as const) {
      if (own !== address) continue;
      const known = peers.get(peer) ?? [];
      if (!known.includes(message)) peers.set(peer, [...known, message]);
    }
  }
  return [...peers]
    .map(([peer, pair]) => {
      const readThrough = readBy(messages, address, peer);
      const unread = pair.filter(
        ({ id, sender, recipient }) => sender === peer && recipient === address && id > (readThrough ?? 0),
      );
      return {
        peer,
        lastMessage: pair.at(-1) as Message,
        unread: Math.min(unread.length, 1000),
        readThrough,
        peerReadThrough: readBy(messages, peer, address),
      };
    })
    .sort((one, other) => other.lastMessage.id - one.lastMessage.id);
}

function readBy(messages: readonly Message[], reader: string, peer: string): number | null {
  const markers = messages.filter(
    ({ type, sender, recipient }) => type === 'read' && sender === reader && recipient === peer,
  );
  const ids = markers.map(({ content }) => (JSON.parse(content) as { messageId: number }).messageId);
  return ids.length === 0 ? null : Math.max(...ids);
}

/** Computes the conversation of one pair. */
function expectedPair(
  messages: readonly Message[],
  address: string,
  peer: string,
  now: number,
): Conversation {
  const listed = expected(messages, address, now).find((one) => one.peer === peer);
  const readThrough = readBy(messages, address, peer);
  const peerReadThrough = readBy(messages, peer, address);
  return listed ?? { peer, lastMessage: null, unread: 0, readThrough, peerReadThrough };
}

/** Computes the conversation of a room. */
function expectedRoom(messages: readonly Message[], reader: string, room: string, now: number): RoomState {
  const alive = messages.filter((message) => isCounted(message) && !isExpired(message, now));
  const readThrough = readBy(messages, reader, room);
  const unread = alive.filter(
    ({ id, sender, recipient }) => recipient === room && sender !== reader && id > (readThrough ?? 0),
  );
  const ofInbox = alive.filter(({ sender, recipient }) => recipient === room || sender === room);
  return {
    room,
    lastMessage: ofInbox.at(-1) ?? null,
    unread: Math.min(unread.length, 1000),
    readThrough,
  };
}

describe('conversations', () => {
  let database: Database;
  let append: AppendBatches;
  let project: Project;
  let purge: ApplyPurge;
  let store: Store;
  let conversations: Conversations;
  const names = ['alice', 'bob', 'carol', 'dora'];

  beforeEach(() => {
    database = newDatabase();
    append = prepareAppends(database);
    project = prepareProjection(database);
    purge = preparePurge(database);
    store = new Store(database);
    conversations = new Conversations(database, store);
  });
  afterAll(cleanUp);

  const allMessages = (): Message[] => {
    const messages: Message[] = [];
    store.readAfter(
      ['*'],
      0,
      Number.MAX_SAFE_INTEGER,
      100_000,
      -Infinity,
      (message) => messages.push(message) > 0,
    );
    return messages;
  };

  test.each(seedsOf([1, 2, 3, 4, 5], 2))(
    'conversations match their messages, however far the projection is and whatever was purged (seed %i)',
    (seed) => {
      const random = new Random(seed);
      let now = 1_000_000;
      for (let step = 0; step < 120; step++) {
        now += 100_000;
        const batch = Array.from({ length: 1 + random.integer(0, 7) }, () => {
          const type = random.pick(['message', 'message', 'message', 'note', 'read']);
          const ttl = type !== 'read' && random.integer(0, 3) === 0 ? 100 * random.integer(0, 39) + 1 : null;
          const content =
            type === 'read'
              ? JSON.stringify({ messageId: 1 + random.integer(0, Math.max(1, store.head()) - 1) })
              : '1';
          // Some as they were stored before there was `background`.
          const background = random.pick([0, 0, 1, null] as const);
          return draft({
            sender: random.pick(names),
            recipient: random.pick(names),
            type,
            content,
            ttl,
            background,
          });
        });
        append(
          batch.map((one) => [one]),
          now,
        );
        if (random.integer(0, 2) === 0) project(1 + random.integer(0, 19));
        if (random.integer(0, 4) === 0) purge({ by: 'expiry', now, limit: 1 + random.integer(0, 19) }, now);
        if (random.integer(0, 19) === 0) {
          const recipient = random.pick(names);
          const through = random.integer(0, store.head() - 1);
          purge({ by: 'count', now, recipient, after: 0, through, limit: 5 }, now);
        }

        const messages = allMessages();
        const head = store.head();
        const [one, other] = [random.pick(names), random.pick(names)];
        expect(conversations.ofPair(one, other, head, now)).toEqual({
          state: expectedPair(messages, one, other, now),
          head,
        });
        expect(conversations.ofRoom(one, other, head, now)).toEqual({
          state: expectedRoom(messages, one, other, now),
          head,
        });
        for (const address of names) {
          const wanted = expected(messages, address, now);
          expect(conversations.list(address, Infinity, store.head(), 50, now)).toEqual({
            conversations: wanted,
            head: store.head(),
            more: false,
          });
          const unread = wanted
            .filter(({ peer }) => peer !== address)
            .reduce((sum, one) => sum + one.unread, 0);
          expect(conversations.unread(address, store.head(), now)).toBe(unread);
          for (const peer of names) {
            const pair: Message[] = [];
            conversations.readBack([address, peer], Infinity, store.head(), now, (one) => pair.push(one) > 0);
            const both = messages.filter(
              ({ sender, recipient }) =>
                (sender === address && recipient === peer) || (sender === peer && recipient === address),
            );
            expect(pair).toEqual(both.filter((one) => !isExpired(one, now)).reverse());
          }
        }
      }
    },
  );

  test('a walk over pages of any size finds every conversation in order, whatever expires or is purged meanwhile', () =>
    withRandom((random) => {
      const peers = Array.from({ length: 12 }, (_, index) => `peer-${index}`);
      let now = 1_000_000;
      for (let round = 0; round < 25; round++) {
        const batch = Array.from({ length: random.integer(10, 40) }, () => {
          const peer = random.pick(peers);
          const [sender, recipient] = random.integer(0, 1) === 0 ? ['bob', peer] : [peer, 'bob'];
          const ttl = random.integer(0, 1) === 0 ? random.integer(1, 500) : null;
          return draft({ sender, recipient, ttl });
        });
        append([batch], now);
        project(random.integer(1, 60));
        const seen: string[] = [];
        let before = Infinity;
        for (let more = true; more;) {
          now += 1000 * random.integer(0, 60);
          if (random.integer(0, 3) === 0) purge({ by: 'expiry', now, limit: random.integer(1, 5) }, now);
          const limit = random.integer(1, 4);
          const page = conversations.list('bob', before, store.head(), limit, now);
          const wanted = expected(allMessages(), 'bob', now).filter(
            ({ lastMessage }) => lastMessage.id < before,
          );
          expect(page.conversations).toEqual(wanted.slice(0, limit));
          expect(page.more).toBe(wanted.length > limit);
          seen.push(...page.conversations.map(({ peer }) => peer));
          // Either leads to the next page.
          const last = page.conversations.at(-1)?.lastMessage?.id ?? 0;
          before = random.integer(0, 1) === 0 ? last : (page.before ?? 0);
          more = page.more;
        }
        for (const { peer } of expected(allMessages(), 'bob', now)) expect(seen).toContain(peer);
      }
      return Promise.resolve();
    }));

  test('pages of conversations end when their time is up, and following them finds all', () => {
    const peers = Array.from({ length: 400 }, (_, index) => `peer-${index}`);
    const batches = peers.map((sender, index) => [draft({ sender, ttl: index % 3 === 0 ? null : 1 })]);
    append(batches);
    project(300);
    const seen: string[] = [];
    let before: number | undefined = Infinity;
    let pages = 0;
    for (; before !== undefined; pages++) {
      let time = 0;
      const bounds = { budget: new Budget(() => ++time, 10), fits: () => true };
      const page = conversations.list('bob', before, store.head(), 1000, LATER, bounds);
      expect(time).toBeLessThan(20);
      expect(page.more).toBe(page.before !== undefined);
      seen.push(...page.conversations.map(({ peer }) => peer));
      before = page.before;
    }
    expect(pages).toBeGreaterThan(10);
    expect(seen).toEqual(peers.filter((_, index) => index % 3 === 0).reverse());
  });

  test('a page of conversations ends when there is no more room', () => {
    append(['ann', 'bea', 'cleo'].map((sender) => [draft({ sender })]));
    let room = 2;
    const bounds = { budget: new Budget(() => 0, 1), fits: () => room-- > 0 };
    const page = conversations.list('bob', Infinity, store.head(), 10, 0, bounds);
    expect(page).toMatchObject({ conversations: [{ peer: 'cleo' }, { peer: 'bea' }], more: true, before: 2 });
    const next = conversations.list('bob', 2, store.head(), 10, 0, bounds);
    expect(next).toMatchObject({ conversations: [{ peer: 'ann' }], more: false });
  });

  test('pages between two addresses end when their time is up, also if almost all messages have expired', () => {
    const [first = 0] = append([[draft()]])[0] as number[];
    append([Array.from({ length: 2000 }, () => draft({ ttl: 1 }))]);
    project(1500);
    const taken: number[] = [];
    const take = ({ id }: Message): boolean => taken.push(id) > 0;
    let before = Infinity;
    let pages = 0;
    for (let more = true; more; pages++) {
      const budget = new Budget(() => 0, 0);
      const page = conversations.readBack(['alice', 'bob'], before, store.head(), LATER, take, budget);
      expect(page.before).toBeLessThan(before);
      ({ more, before } = page);
    }
    expect(taken).toEqual([first]);
    expect(pages).toBeGreaterThan(10);
  });

  test('pages of conversations have the newest first, projected or not', () => {
    const peers = Array.from({ length: 25 }, (_, index) => `peer-${index}`);
    append(peers.map((sender) => [draft({ sender })]));
    project(15);
    const seen: string[] = [];
    let before = Infinity;
    for (let more = true; more;) {
      const page = conversations.list('bob', before, store.head(), 4, 0);
      seen.push(...page.conversations.map(({ peer }) => peer));
      before = page.conversations.at(-1)?.lastMessage?.id ?? 0;
      more = page.more;
    }
    expect(seen).toEqual(peers.reverse());
  });

  test('a conversation counts unread messages to 1000 and no further', () => {
    append([Array.from({ length: 1500 }, () => draft())]);
    project(700);
    const [conversation] = conversations.list('bob', Infinity, store.head(), 1, 0).conversations;
    expect(conversation?.unread).toBe(1000);
    expect(conversations.unread('bob', store.head(), 0)).toBe(1000);
  });

  test('a conversation counts unread messages behind very many expired ones that are not purged yet', () => {
    const expired = Array.from({ length: 6000 }, () => draft({ ttl: 1 }));
    append([expired, [draft(), draft()]]);
    project(10_000);
    const head = store.head();
    const [conversation] = conversations.list('bob', Infinity, head, 1, LATER).conversations;
    const { state } = conversations.ofPair('bob', 'alice', head, LATER);
    const room = conversations.ofRoom('bob', 'bob', head, LATER).state;
    expect([conversation?.unread, state.unread, room.unread]).toEqual([2, 2, 2]);
    expect(conversations.unread('bob', head, LATER)).toBe(2);
  });
});
