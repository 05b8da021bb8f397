import { expect, test } from '@jest/globals';

/** The part of a conversation that is used here. Its own types want those of a browser (tsconfig.public.json). */
interface Conversation {
  readonly unread: number;
  readonly readThrough: number;
  readonly messages: Iterable<{ id: number }>;
  add: (message: object, isMine: boolean) => void;
  addHistory: (messages: readonly object[], more: boolean) => void;
  list: (listed: object) => boolean;
  markRead: (id: number) => boolean;
}

const folder = '../../public/chat';
const { Chat } = (await import(`${folder}/chat.js`)) as {
  Chat: new (peer: string, me: string) => Conversation;
};
const { Chats } = (await import(`${folder}/chats.js`)) as {
  Chats: new (
    me: string,
    isJoined: (room: string) => boolean,
  ) => {
    readonly list: readonly { peer: string }[];
    get: (peer: string) => Conversation;
    take: (message: object) => unknown;
  };
};

/** A message of Alice to Bob. */
const message = (id: number) => ({
  id,
  sender: 'alice',
  recipient: 'bob',
  type: 'message',
  content: id,
  createdAt: new Date(id).toISOString(),
});

/** The answer of the service about the conversation with Alice. */
const listed = (last: number, unread: number, readThrough: number | null) => ({
  peer: 'alice',
  lastMessage: message(last),
  unread,
  readThrough,
  peerReadThrough: null,
});

test('messages that came before the list, or are told again after it, are counted once', () => {
  const chat = new Chat('alice', 'bob');
  chat.add(message(1), false);
  expect(chat.unread).toBe(1);
  expect(chat.list(listed(2, 2, null))).toBe(true);
  chat.add(message(1), false);
  chat.add(message(2), false);
  expect(chat.unread).toBe(2);
  chat.add(message(3), false);
  expect(chat.unread).toBe(3);
});

test('messages that were read while the list was on its way stay read', () => {
  const chat = new Chat('alice', 'bob');
  chat.addHistory([message(1), message(2), message(3)], false);
  expect(chat.markRead(2)).toBe(true);
  expect(chat.list(listed(3, 3, null))).toBe(true);
  expect({ unread: chat.unread, readThrough: chat.readThrough }).toEqual({ unread: 1, readThrough: 2 });
});

test('a count is asked for again if it is unknown what was read while the list was on its way', () => {
  const chat = new Chat('alice', 'bob');
  chat.markRead(2);
  expect(chat.list(listed(3, 3, null))).toBe(false);
  expect(chat.list(listed(3, 1, 2))).toBe(true);
  expect(chat.unread).toBe(1);
});

test('a list that is older than the counted messages takes nothing away', () => {
  const chat = new Chat('alice', 'bob');
  for (const id of [1, 2, 3]) chat.add(message(id), false);
  chat.list(listed(3, 3, null));
  chat.list(listed(2, 2, null));
  expect(chat.unread).toBe(3);
});

test('messages that are in the list but not yet on the stream stay unread when earlier ones are read', () => {
  const chat = new Chat('alice', 'bob');
  chat.addHistory([message(1), message(2)], false);
  chat.list(listed(4, 4, null));
  expect(chat.markRead(2)).toBe(true);
  chat.add(message(3), false);
  chat.add(message(4), false);
  expect(chat.unread).toBe(2);
});

test('messages that were read and have expired do not become unread', () => {
  const chat = new Chat('alice', 'bob');
  chat.addHistory([message(4), message(5)], false);
  chat.markRead(5);
  expect(chat.list(listed(4, 0, 5))).toBe(true);
  expect(chat.unread).toBe(0);
});

test('a marker of another device that is behind this one changes nothing', () => {
  const chats = new Chats('bob', () => false);
  const chat = chats.get('alice');
  chat.list(listed(3, 0, 3));
  const marker = {
    ...message(4),
    sender: 'bob',
    recipient: 'alice',
    type: 'read',
    content: { messageId: 1 },
  };
  expect(chats.take(marker)).toEqual({ chat, exact: true });
  expect({ unread: chat.unread, readThrough: chat.readThrough }).toEqual({ unread: 0, readThrough: 3 });
});

test('all messages count and make a conversation, except read markers and messages in the background', () => {
  const chats = new Chats('bob', () => false);
  const peers = (): string[] => chats.list.map(({ peer }) => peer);
  chats.take({ ...message(1), background: true });
  expect(peers()).toEqual([]);
  chats.take({ ...message(2), type: 'order', content: { n: 1 } });
  chats.take({ ...message(3), background: true });
  chats.take({ ...message(4), type: 'telemetry', background: true });
  expect(peers()).toEqual(['alice']);
  const chat = chats.get('alice');
  expect(chat).toMatchObject({ unread: 1, lastMessage: { id: 2 } });
  // Of the background, messages are shown.
  expect(Array.from(chat.messages, ({ id }) => id)).toEqual([2, 3]);
  expect(chat.markRead(2)).toBe(true);
  expect(chat.unread).toBe(0);
  chat.list({ lastMessage: null, unread: 0, readThrough: 2 });
  expect(chat).toMatchObject({ unread: 0, readThrough: 2 });
});
