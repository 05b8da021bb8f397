import { expect, jest, test } from '@jest/globals';

/** The part of a conversation that is used here. Its own types want those of a browser (tsconfig.public.json). */
interface Conversation {
  list: (listed: object) => boolean;
  addHistory: (messages: readonly object[], more: boolean) => void;
}
interface Copied {
  readonly peer: string;
  readonly lastMessage: object | null;
  readonly unread: number;
  readonly messages?: readonly { id: number }[];
  readonly more?: boolean;
}
interface Kept {
  readonly cursor: string | undefined;
  at: (now: number) => { conversations: Copied[] } | undefined;
  touch: () => void;
  close: () => void;
}

const folder = '../../public/chat';
const { Chat } = (await import(`${folder}/chat.js`)) as {
  Chat: new (peer: string, me: string) => Conversation;
};
const { TabCopy } = (await import(`${folder}/tab-copy.js`)) as {
  TabCopy: new (
    api: object,
    me: string,
    take: () => { cursor: string; chats: readonly Conversation[] } | undefined,
  ) => Kept;
};

/** After so long without a change the copy is kept. */
const QUIET = 10_000;

let services = 0;

/** A service of its own, as the storage is one for all. */
const newApi = (): object => {
  const service = ++services;
  return { keptName: (name: string) => `service-${service}:${name}` };
};

const message = (id: number, fields: object = {}): object => ({
  id,
  sender: 'bob',
  recipient: 'alice',
  type: 'message',
  content: `content ${id}`,
  createdAt: new Date(id).toISOString(),
  ...fields,
});

/** A conversation that was opened. */
function chatWith(peer: string, messages: readonly object[], unread = 0): Conversation {
  const chat = new Chat(peer, 'alice');
  chat.list({ lastMessage: messages.at(-1) ?? null, unread, readThrough: 0, peerReadThrough: 0 });
  chat.addHistory(messages, false);
  return chat;
}

/** Keeps these conversations, and returns the copy as the next page of the tab finds it. */
function keep(chats: readonly Conversation[], me = 'alice'): { kept: Kept; next: (who?: string) => Kept } {
  jest.useFakeTimers();
  const api = newApi();
  const kept = new TabCopy(api, me, () => ({ cursor: '7-k3f9', chats }));
  kept.touch();
  jest.advanceTimersByTime(QUIET);
  jest.useRealTimers();
  return { kept, next: (who = me) => new TabCopy(api, who, () => undefined) };
}

test('a tab keeps the newest of each conversation, and where the stream was', () => {
  const { next } = keep([chatWith('bob', [message(1), message(2)], 2)]);
  const copy = next();
  expect(copy.cursor).toBe('7-k3f9');
  expect(copy.at(0)?.conversations).toEqual([
    expect.objectContaining({ peer: 'bob', unread: 2, messages: [message(1), message(2)], more: false }),
  ]);
});

test('a copy has 30 conversations at most, 50 messages of each, and says that there are more', () => {
  const many = Array.from({ length: 60 }, (_, index) => message(index + 1));
  const chats = Array.from({ length: 40 }, (_, index) => chatWith(`peer-${index}`, many));
  const conversations = keep(chats).next().at(0)?.conversations ?? [];
  expect(conversations.map(({ peer }) => peer)).toEqual(
    Array.from({ length: 30 }, (_, index) => `peer-${index}`),
  );
  for (const { messages = [], more } of conversations) {
    expect(messages.map(({ id }) => id)).toEqual(Array.from({ length: 50 }, (_, index) => index + 11));
    expect(more).toBe(true);
  }
});

test('a copy has at most 500,000 characters: conversations that do not fit are only listed', () => {
  const long = Array.from({ length: 10 }, (_, index) => message(index + 1, { content: 'x'.repeat(40_000) }));
  const conversations = keep([chatWith('one', long), chatWith('two', long), chatWith('three', [message(1)])])
    .next()
    .at(0)?.conversations;
  expect(conversations?.map(({ peer, messages }) => [peer, messages?.length])).toEqual([
    ['one', 10],
    ['two', undefined],
    ['three', 1],
  ]);
  expect(JSON.stringify(conversations).length).toBeLessThanOrEqual(500_000);
});

test('messages that have expired are neither in a copy nor counted', () => {
  const gone = message(2, { expiresAt: new Date(5000).toISOString() });
  const copy = keep([chatWith('bob', [message(1), gone], 2)]).next();
  expect(copy.at(4999)?.conversations[0]).toMatchObject({ unread: 2, messages: [message(1), gone] });
  expect(copy.at(5000)?.conversations[0]).toMatchObject({
    unread: 1,
    messages: [message(1)],
    lastMessage: null,
  });
});

test('a copy is removed if another person has the tab, and when its person signs out', () => {
  const chats = [chatWith('bob', [message(1)])];
  const { next } = keep(chats);
  expect(next('mallory').at(0)).toBeUndefined();
  expect(next('alice').at(0)).toBeUndefined();
  const other = keep(chats);
  other.kept.close();
  other.kept.touch();
  expect(other.next().at(0)).toBeUndefined();
});

test('a tab keeps nothing before its conversations are loaded', () => {
  jest.useFakeTimers();
  const api = newApi();
  new TabCopy(api, 'alice', () => undefined).touch();
  jest.advanceTimersByTime(QUIET);
  jest.useRealTimers();
  expect(new TabCopy(api, 'alice', () => undefined).at(0)).toBeUndefined();
});
