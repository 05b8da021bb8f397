import { expect, test } from '@jest/globals';

/** The parts that are used here. The full types need those of a browser (tsconfig.public.json). */
interface Chat {
  readonly unread: number;
}
interface Chats {
  readonly list: readonly { peer: string }[];
  forget: () => void;
  get: (peer: string) => Chat;
  remove: (peer: string) => void;
  take: (message: object) => unknown;
}
interface Answers {
  conversations: (me: string, page: { before?: number }) => Promise<object>;
  conversation?: (me: string, peer: string) => Promise<object>;
}
interface Rooms {
  readonly joined: readonly string[];
  has: (room: string) => boolean;
  leave: (room: string) => void;
}

const folder = '../../public';
const { Problem } = (await import(`${folder}/client/errors.js`)) as {
  Problem: new (status: number, detail: string, retryAfter: number | undefined) => Error;
};
const { Chats } = (await import(`${folder}/chat/chats.js`)) as {
  Chats: new (me: string, isJoined: (room: string) => boolean) => Chats;
};
const { Reader } = (await import(`${folder}/chat/reader.js`)) as {
  Reader: new (
    api: Answers,
    chats: Chats,
    rooms: object,
    events: object,
  ) => {
    load: () => Promise<string>;
    loadRooms: () => Promise<void>;
    recount: (chat: Chat) => Promise<void>;
  };
};

/** The rooms that Bob has joined. */
function roomsOf(...names: string[]): Rooms {
  const joined = new Set(names);
  return {
    get joined() {
      return [...joined];
    },
    has: (room) => joined.has(room),
    leave: (room) => joined.delete(room),
  };
}

/** The reader of Bob, with what he knows. */
function readerOf(
  api: Answers,
  rooms = roomsOf(),
  onChange: (chats: Chats) => void = () => undefined,
): { reader: InstanceType<typeof Reader>; chats: Chats } {
  const chats = new Chats('bob', rooms.has);
  const events = { onChange: () => onChange(chats), onUnreadable: () => undefined };
  const reader = new Reader(api, chats, rooms, events);
  return { reader, chats };
}

/** A message of Alice to Bob. */
const message = (id: number): object => ({
  id,
  sender: 'alice',
  recipient: 'bob',
  type: 'message',
  content: id,
  createdAt: new Date(id).toISOString(),
});

/** How the conversation with Alice stands. */
const stateOf = (last: number, unread: number, readThrough: number | null): object => ({
  peer: 'alice',
  lastMessage: message(last),
  unread,
  readThrough,
  peerReadThrough: null,
});

const EMPTY = { conversations: [], cursor: '0', more: false };

test('an answer that comes after the answer to a later question changes nothing', async () => {
  const answers: ((state: object) => void)[] = [];
  const { reader, chats } = readerOf({
    conversations: () => Promise.resolve(EMPTY),
    conversation: () => new Promise((resolve) => answers.push(resolve)),
  });
  const chat = chats.get('alice');
  const counts = [reader.recount(chat), reader.recount(chat)];
  answers[1]?.(stateOf(6, 2, 4));
  answers[0]?.(stateOf(5, 3, 2));
  await Promise.all(counts);
  expect(chat.unread).toBe(2);
});

test('a failed count that a later one has overtaken is not asked for again', async () => {
  let asked = 0;
  const { reader, chats } = readerOf({
    conversations: () => Promise.resolve(EMPTY),
    conversation: () =>
      ++asked === 1
        ? Promise.reject(new Problem(503, 'not now', undefined))
        : Promise.resolve(stateOf(6, 2, 4)),
  });
  const chat = chats.get('alice');
  await Promise.all([reader.recount(chat), reader.recount(chat)]);
  expect(asked).toBe(2);
});

test.each([
  ['a room', 'room-a'],
  ['a person', 'alice'],
])('the count of %s is asked for again if another device reads it meanwhile', async (_what, peer) => {
  const answers: ((state: object) => void)[] = [];
  const { reader, chats } = readerOf(
    {
      conversations: () => Promise.resolve(EMPTY),
      conversation: () => new Promise((resolve) => answers.push(resolve)),
    },
    roomsOf('room-a'),
  );
  const chat = chats.get(peer);
  const counted = reader.recount(chat);
  chats.take({ id: 7, sender: 'bob', recipient: peer, type: 'read', content: { messageId: 4 } });
  answers[0]?.(stateOf(6, 3, 2));
  await counted;
  answers[1]?.(stateOf(6, 2, 4));
  await new Promise(setImmediate);
  expect([answers.length, chat.unread]).toEqual([2, 2]);
});

test('a room that is left while its count is asked for again does not come back', async () => {
  const rooms = roomsOf('room-a');
  const { reader, chats } = readerOf(
    {
      conversations: () => Promise.resolve(EMPTY),
      conversation: () => {
        rooms.leave('room-a');
        chats.remove('room-a');
        return Promise.reject(new Problem(503, 'not now', undefined));
      },
    },
    rooms,
  );
  await reader.recount(chats.get('room-a'));
  expect(chats.list).toEqual([]);
});

test('a room that is left while another one is read does not come back', async () => {
  const rooms = roomsOf('room-a', 'room-b');
  const { reader, chats } = readerOf(
    {
      conversations: () => Promise.resolve(EMPTY),
      conversation: (_me, room) => {
        if (room === 'room-a') rooms.leave('room-b');
        return Promise.resolve({ lastMessage: null, unread: 0, readThrough: null });
      },
    },
    rooms,
  );
  await reader.load();
  expect(chats.list.map(({ peer }) => peer)).toEqual(['room-a']);
});

test.each([
  ['that may not be read is left', 403, []],
  ['that a proxy does not find is not left', 404, ['room-a']],
  ['that cannot be read now is not left', 503, ['room-a']],
])('a room %s', async (_what, status, left) => {
  const rooms = roomsOf('room-a');
  const { reader } = readerOf(
    {
      conversations: () => Promise.resolve(EMPTY),
      conversation: () => Promise.reject(new Problem(status, 'not this time', undefined)),
    },
    rooms,
  );
  await reader.load().catch(() => undefined);
  expect(rooms.joined).toEqual(left);
});

test('a list from before a restore counts nothing in the restored log', async () => {
  const lists: ((list: object) => void)[] = [];
  const states: ((state: object) => void)[] = [];
  const { reader, chats } = readerOf({
    conversations: () => new Promise((resolve) => lists.push(resolve)),
    conversation: () => new Promise((resolve) => states.push(resolve)),
  });
  const loaded = reader.load();
  const counted = reader.recount(chats.get('alice'));
  chats.forget();
  lists[0]?.({ conversations: [stateOf(50, 7, 40)], cursor: '50-tag', more: false });
  states[0]?.(stateOf(50, 7, 40));
  await Promise.all([loaded, counted]);
  chats.take(message(1));
  expect(chats.get('alice').unread).toBe(1);
});

test.each(['load', 'loadRooms'] as const)(
  'rooms that were read by %s are drawn as they are now',
  async (read) => {
    let drawn: number | undefined;
    const { reader } = readerOf(
      {
        conversations: () => Promise.resolve(EMPTY),
        conversation: () => Promise.resolve(stateOf(6, 2, 4)),
      },
      roomsOf('room-a'),
      (chats) => (drawn = chats.get('room-a').unread),
    );
    await reader[read]();
    expect(drawn).toBe(2);
  },
);
