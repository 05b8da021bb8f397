import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { get, publish, send, type WireMessage } from '../support/api.ts';
import { readNumber } from '../support/file.ts';
import { errorPaths, expectProblem } from '../support/problems.ts';
import { cleanUp, Server } from '../support/server.ts';
import { DeviceStream } from '../support/stream.ts';
import { until } from '../support/until.ts';

interface Conversation {
  readonly peer: string;
  readonly lastMessage: WireMessage;
  readonly unread: number;
  readonly readThrough: number | null;
  readonly peerReadThrough: number | null;
}

interface ConversationPage {
  readonly conversations: Conversation[];
  readonly cursor: string;
  readonly more: boolean;
}

let server: Server;
beforeAll(async () => {
  server = await Server.start();
});
afterAll(cleanUp);

/** Publishes a read marker. */
const mark = (sender: string, recipient: string, messageId: unknown, fields: Record<string, unknown> = {}) =>
  publish(server.url, { sender, recipient, type: 'read', content: { messageId }, ...fields });

async function conversationsOf(query: string, origin = server.url): Promise<ConversationPage> {
  const answer = await get(origin, `/conversations?recipient=${query}`);
  expect({ query, status: answer.status }).toEqual({ query, status: 200 });
  return answer.body as ConversationPage;
}

/** The conversation of an address with another one. */
async function conversation(address: string, peer: string): Promise<Conversation | undefined> {
  return (await conversationsOf(address)).conversations.find((one) => one.peer === peer);
}

describe('a read marker', () => {
  test('a read marker reaches the other devices of its reader, and the peer', async () => {
    const { id } = await send(server.url, 'bob', 'hi', { sender: 'alice' });
    const devices = await Promise.all(
      ['bob', 'bob', 'alice'].map((address) => DeviceStream.open(server.url, `recipient=${address}`)),
    );
    await Promise.all(devices.map((device) => device.waitFor('live')));
    const answer = await mark('bob', 'alice', id);
    expect(answer).toMatchObject({
      status: 201,
      body: { sender: 'bob', recipient: 'alice', type: 'read', content: { messageId: id } },
    });
    for (const device of devices) expect(await device.waitForMessages(1)).toEqual([answer.body]);
  });

  test('a read marker never moves back: one at or behind it is answered with it and 200', async () => {
    const ids = [];
    for (const content of [1, 2, 3]) ids.push((await send(server.url, 'cid', content, { sender: 'ann' })).id);
    const [first, second, third] = ids;
    const standing = await mark('cid', 'ann', second);
    expect(standing.status).toBe(201);
    for (const messageId of [second, first, 1]) {
      expect(await mark('cid', 'ann', messageId)).toMatchObject({
        status: 200,
        body: standing.body as object,
      });
    }
    expect(await conversation('cid', 'ann')).toMatchObject({ readThrough: second, unread: 1 });
    expect((await mark('cid', 'ann', third)).status).toBe(201);
    expect(await conversation('cid', 'ann')).toMatchObject({ readThrough: third, unread: 0 });
    const { messages } = (await get(server.url, '/messages?recipient=cid')).body as {
      messages: WireMessage[];
    };
    expect(messages.filter(({ type }) => type === 'read').map(({ content }) => content)).toEqual([
      { messageId: second },
      { messageId: third },
    ]);
  });

  test('of many read markers at once the greatest stands, and it only moves forward', async () => {
    const batch = Array.from({ length: 20 }, (_, content) => ({ sender: 'dan', recipient: 'eve', content }));
    const ids = ((await publish(server.url, batch)).body as WireMessage[]).map(({ id }) => id);
    const device = await DeviceStream.open(server.url, 'recipient=dan');
    await device.waitFor('live');
    const answers = await Promise.all([...ids, ...ids.toReversed()].map((id) => mark('eve', 'dan', id)));
    expect(answers.every(({ status }) => status === 200 || status === 201)).toBe(true);
    expect(await conversation('eve', 'dan')).toMatchObject({ readThrough: ids.at(-1), unread: 0 });
    await device.waitForMessages(answers.filter(({ status }) => status === 201).length);
    const marks = device.messages.map(({ content }) => (content as { messageId: number }).messageId);
    expect(marks).toEqual([...new Set(marks)].sort((a, b) => a - b));
    expect(marks.at(-1)).toBe(ids.at(-1));
  });

  test('each reader has one read marker for each peer', async () => {
    const { id } = await send(server.url, 'fay', 1, { sender: 'gus' });
    await send(server.url, 'fay', 1, { sender: 'hal' });
    expect((await mark('fay', 'gus', id)).status).toBe(201);
    expect((await mark('fay', 'hal', 1)).status).toBe(201);
    expect((await mark('gus', 'fay', 1)).status).toBe(201);
    expect(await conversation('fay', 'gus')).toMatchObject({ readThrough: id, peerReadThrough: 1 });
    expect(await conversation('gus', 'fay')).toMatchObject({ readThrough: 1, peerReadThrough: id });
  });

  test('read markers in a batch count one after the other', async () => {
    const { id } = await send(server.url, 'ida', 1, { sender: 'jan' });
    const entry = (messageId: number) => ({
      sender: 'ida',
      recipient: 'jan',
      type: 'read',
      content: { messageId },
    });
    const answer = await publish(server.url, [entry(id - 1), entry(id), entry(1)]);
    const [first, second, third] = answer.body as WireMessage[];
    expect(answer.status).toBe(201);
    expect(third).toEqual(second);
    expect(first?.content).toEqual({ messageId: id - 1 });
    const behind = await publish(server.url, [entry(1), entry(id)]);
    expect(behind).toMatchObject({ status: 200, body: [second, second] });
  });

  test('a read marker ahead of the log is set to the newest message of its conversation, everywhere', async () => {
    const { id } = await send(server.url, 'kim', 1, { sender: 'lea' });
    const elsewhere = await send(server.url, 'lea', 1, { sender: 'someone' });
    const devices = await Promise.all(
      ['recipient=kim', 'recipient=lea'].map((query) => DeviceStream.open(server.url, query)),
    );
    await Promise.all(devices.map((device) => device.waitFor('live')));
    const answer = await mark('kim', 'lea', elsewhere.id + 1000, { idempotencyKey: 'k' });
    expect(answer).toMatchObject({ status: 201, body: { type: 'read', content: { messageId: id } } });
    for (const device of devices) expect(await device.waitForMessages(1)).toEqual([answer.body]);
    const marker = answer.body as WireMessage;
    expect((await get(server.url, `/messages/${marker.id}`)).body).toEqual(marker);
    expect(await conversation('kim', 'lea')).toMatchObject({ readThrough: id, unread: 0 });
    for (const again of [{ idempotencyKey: 'k' }, {}]) {
      const repeat = await mark('kim', 'lea', elsewhere.id + 1000, again);
      expect(repeat).toMatchObject({ status: 200, body: marker });
    }
    const next = await send(server.url, 'kim', 2, { sender: 'lea' });
    expect(await conversation('kim', 'lea')).toMatchObject({ unread: 1 });
    expect((await mark('kim', 'lea', next.id)).status).toBe(201);
  });

  test('a read marker ahead of the log in a room is set to the newest message of the room', async () => {
    const { id } = await send(server.url, 'room-9', 1, { sender: 'zoe' });
    await send(server.url, 'kim', 1, { sender: 'zoe' });
    const answer = await mark('kim', 'room-9', Number.MAX_SAFE_INTEGER);
    expect(answer).toMatchObject({ status: 201, body: { content: { messageId: id } } });
  });

  test('a read marker ahead of the log in an empty conversation covers nothing', async () => {
    const answer = await mark('kim', 'nobody-yet', Number.MAX_SAFE_INTEGER);
    expect(answer).toMatchObject({ status: 201, body: { content: { messageId: 1 } } });
    const { id } = await send(server.url, 'kim', 1, { sender: 'nobody-yet' });
    expect(await conversation('kim', 'nobody-yet')).toMatchObject({ unread: 1, lastMessage: { id } });
  });

  test.each([0, -1, 1.5, '1', null, undefined, [1], 1e300])('a read marker %j is 400', async (messageId) => {
    const answer = await mark('kim', 'lea', messageId);
    expectProblem(answer, 400);
    expect(errorPaths(answer)).toEqual([expect.stringMatching(/^\/content(\/messageId)?$/)]);
  });

  test('a read marker with a ttl, or an ephemeral one, is refused', async () => {
    expectProblem(await mark('kim', 'lea', 1, { ttl: 60 }), 400, ['/ttl']);
    expectProblem(await mark('kim', 'lea', 1, { ephemeral: true }), 400, ['/ephemeral']);
  });
});

describe('conversations', () => {
  /** The list just after the publish. */
  const listed = new Map<string, Conversation[]>();

  /** Asserts what is listed, and keeps it to compare later. */
  async function expectConversations(query: string, expected: readonly unknown[]): Promise<void> {
    const { conversations } = await conversationsOf(query);
    expect({ query, conversations }).toEqual({ query, conversations: expected });
    listed.set(query, conversations);
  }

  test('conversations show peer, last message, unread and both markers, newest first', async () => {
    await send(server.url, 'max', 1, { sender: 'nan' });
    const fromOle = await send(server.url, 'max', 2, { sender: 'ole' });
    const toNan = await send(server.url, 'nan', 3, { sender: 'max' });
    const last = await send(server.url, 'max', 4, { sender: 'nan' });
    await send(server.url, 'max', 'in the background', { sender: 'ole', background: true });
    await send(server.url, 'max', 'no conversation', { sender: 'pam', type: 'note', background: true });
    await mark('nan', 'max', toNan.id);
    const nan = { peer: 'nan', lastMessage: last, unread: 2, readThrough: null, peerReadThrough: toNan.id };
    const ole = { peer: 'ole', lastMessage: fromOle, unread: 1, readThrough: null, peerReadThrough: null };
    await expectConversations('max', [nan, ole]);
    await mark('max', 'nan', toNan.id);
    await expectConversations('max', [{ ...nan, unread: 1, readThrough: toNan.id }, ole]);
    await expectConversations('nan', [
      { peer: 'max', lastMessage: last, unread: 0, readThrough: toNan.id, peerReadThrough: toNan.id },
    ]);
    const again = await send(server.url, 'ole', 5, { sender: 'max' });
    await expectConversations('max', [
      { ...ole, lastMessage: again },
      { ...nan, unread: 1, readThrough: toNan.id },
    ]);
    await expectConversations('pam', []);
    await expectConversations('nobody', []);
  });

  test.each([999, 1000, 1001, 2500])('%d unread messages count up to 1000', async (count) => {
    const address = `reader-${count}`;
    const ids: number[] = [];
    for (let left = count; left > 0; left -= 1000) {
      const draft = { sender: 'quin', recipient: address, content: 0 };
      const batch = Array.from({ length: Math.min(left, 1000) }, () => draft);
      ids.push(...((await publish(server.url, batch)).body as WireMessage[]).map(({ id }) => id));
    }
    expect(await conversation(address, 'quin')).toMatchObject({ unread: Math.min(count, 1000) });
    await mark(address, 'quin', ids.at(-6));
    const one = await conversation(address, 'quin');
    expect(one).toMatchObject({ unread: 5, readThrough: ids.at(-6), lastMessage: { id: ids.at(-1) } });
    await expectConversations(address, [one]);
  });

  test.each([1, 2, 3, 6, 1000])('pages of %d conversations have each once', async (limit) => {
    const address = `pager-${limit}`;
    const peers = Array.from({ length: 6 }, (_, index) => `peer-${index}`);
    for (const peer of [...peers, ...peers.toReversed()])
      await send(server.url, address, 1, { sender: peer });
    const met: string[] = [];
    let before = '';
    for (let more = true; more;) {
      const page = await conversationsOf(`${address}&limit=${limit}${before}`);
      expect(page.conversations.length).toBeLessThanOrEqual(limit);
      met.push(...page.conversations.map(({ peer }) => peer));
      before = `&before=${page.conversations.at(-1)?.lastMessage.id ?? 'none'}`;
      ({ more } = page);
    }
    expect(met).toEqual(peers);
    expect((await conversationsOf(address)).conversations.map(({ peer }) => peer)).toEqual(peers);
  });

  test('conversations have a cursor with which a stream misses nothing', async () => {
    await send(server.url, 'rob', 1, { sender: 'sue' });
    const { cursor } = await conversationsOf('rob');
    const missed = await send(server.url, 'rob', 2, { sender: 'sue' });
    const device = await DeviceStream.open(server.url, `recipient=rob&lastEventId=${cursor}`);
    await device.waitFor('live');
    expect(device.messages).toEqual([missed]);
  });

  test('conversations are the same before and after they are projected', async () => {
    const sql = 'SELECT head - projected FROM position';
    await until(() => readNumber(server.database, sql) === 0, 'the projection');
    listed.delete('max');
    expect(listed.size).toBeGreaterThan(0);
    for (const [query, conversations] of listed) {
      expect({ query, conversations: (await conversationsOf(query)).conversations }).toEqual({
        query,
        conversations,
      });
    }
  });

  test('conversations are the same after a crash right behind the last answer', async () => {
    const crashing = await Server.start();
    const entries = Array.from({ length: 300 }, (_, index) => ({
      sender: `s${index % 7}`,
      recipient: 'tom',
      content: 1,
    }));
    await publish(crashing.url, entries);
    await publish(crashing.url, {
      sender: 'tom',
      recipient: 's3',
      type: 'read',
      content: { messageId: 100 },
    });
    const before = await conversationsOf('tom', crashing.url);
    await publish(crashing.url, { sender: 's0', recipient: 'tom', content: 'last' });
    await crashing.kill();
    const after = await Server.start({ database: crashing.database });
    const { conversations } = await conversationsOf('tom', after.url);
    expect(conversations.map(({ unread }) => unread).sort()).toEqual(
      before.conversations.map(({ peer, unread }) => unread + (peer === 's0' ? 1 : 0)).sort(),
    );
    expect(conversations[0]).toMatchObject({ peer: 's0', lastMessage: { content: 'last' } });
    await after.kill();
  });

  test.each(['0', '1001', '-1', '1.5', 'x', ''])('conversations with limit=%s are refused', async (limit) => {
    expectProblem(await get(server.url, `/conversations?recipient=max&limit=${limit}`), 400, ['/limit']);
  });
});
