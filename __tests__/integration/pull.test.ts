import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { get, publish, send, type WireMessage } from '../support/api.ts';
import { expectProblem } from '../support/problems.ts';
import { withRandom } from '../support/random.ts';
import { cleanUp, Server } from '../support/server.ts';
import { DeviceStream } from '../support/stream.ts';

interface Page {
  readonly messages: WireMessage[];
  readonly cursor: string;
  readonly gap?: false | string;
  readonly more: boolean;
  readonly before?: number;
}

const MIB = 1024 * 1024;

let server: Server;
beforeAll(async () => {
  server = await Server.start();
});
afterAll(cleanUp);

/** Pulls a page that is to be served. */
async function pull(query: string): Promise<Page> {
  const answer = await get(server.url, `/messages?${query}`);
  expect({ query, status: answer.status }).toEqual({ query, status: 200 });
  return answer.body as Page;
}

/** All pages after a cursor, following `cursor` while there is `more`. */
async function forward(query: string, after = '0'): Promise<Page[]> {
  const pages = [await pull(`${query}&after=${after}`)];
  for (let page = pages[0]; page?.more === true; page = pages.at(-1)) {
    pages.push(await pull(`${query}&after=${page.cursor}`));
  }
  return pages;
}

/** All pages back from the newest, following the oldest id while there is `more`. That is where `before` leads. */
async function backward(query: string): Promise<Page[]> {
  const pages = [await pull(`${query}&before=latest`)];
  for (let page = pages[0]; page?.more === true; page = pages.at(-1)) {
    const oldest = page.messages[0]?.id;
    expect(page.before).toBe(oldest);
    pages.push(await pull(`${query}&before=${oldest ?? 'none'}`));
  }
  expect(pages.at(-1)).not.toHaveProperty('before');
  return pages;
}

const messagesOf = (pages: readonly Page[]) => pages.flatMap(({ messages }) => messages);

/** Stores numbered messages between two addresses, in turn, with others between them. */
async function converse(a: string, b: string, count: number): Promise<WireMessage[]> {
  const batch = Array.from({ length: count }, (_, index) => [
    { sender: index % 2 ? a : b, recipient: index % 2 ? b : a, content: index },
    { sender: 'noise', recipient: 'noise', content: index },
    { sender: 'third', recipient: index % 2 ? `${a}-room` : `${b}-room`, content: index },
  ]).flat();
  const answer = await publish(server.url, batch);
  expect(answer.status).toBe(201);
  return (answer.body as WireMessage[]).filter((_, index) => index % 3 === 0);
}

describe('a page after a cursor', () => {
  test('a page after a cursor has the inbox, oldest first, from the beginning by default', async () => {
    const sent = await converse('ann', 'ben', 5);
    const page = await pull('recipient=ann');
    expect(page).toEqual({ messages: sent, cursor: page.cursor, gap: false, more: false });
    expect(await pull('recipient=ann&after=0')).toEqual(page);
    expect((await pull(`recipient=ann&after=${page.cursor}`)).messages).toEqual([]);
    expect((await pull(`recipient=ann&after=${sent[1]?.id ?? 0}`)).messages).toEqual(sent.slice(2));
    expect((await pull('recipient=ann&recipient=ben&recipient=ann')).messages).toEqual(sent);
    expect((await pull('recipient=nobody')).messages).toEqual([]);
  });

  test.each([1, 2, 7, 10, 1000])('pages of %d after a cursor have every message once', async (limit) => {
    const [a, b] = [`a${limit}`, `b${limit}`];
    const sent = await converse(a, b, 20);
    const pages = await forward(`recipient=${a}&recipient=${b}&limit=${limit}`);
    expect(messagesOf(pages)).toEqual(sent);
    expect(pages.every(({ messages, gap }) => messages.length <= limit && gap === false)).toBe(true);
    expect(pages.slice(0, -1).every(({ more }) => more)).toBe(true);
  });

  test('a page after a cursor has 100 messages by default', async () => {
    await converse('ida', 'jan', 101);
    expect(await pull('recipient=ida')).toMatchObject({ messages: { length: 100 }, more: true });
  });

  test('a stream goes on at the cursor of a page, and a page at the cursor of a stream', async () => {
    const sent = await converse('kim', 'lea', 9);
    const page = await pull('recipient=kim&limit=4');
    const device = await DeviceStream.open(server.url, `recipient=kim&lastEventId=${page.cursor}`);
    await device.waitFor('live');
    expect([...page.messages, ...device.messages]).toEqual(sent);
    const next = await send(server.url, 'kim', 'next');
    await device.waitForMessages(6);
    expect((await pull(`recipient=kim&after=${device.find('live')?.id ?? ''}`)).messages).toEqual([next]);
    expect((await pull(`recipient=kim&after=${device.cursor ?? ''}`)).messages).toEqual([]);
  });

  test.each([
    ['nonsense', 'unknown'],
    ['1000000', 'restored'],
    ['1-zzzzzz', 'restored'],
  ])('a page after %s tells the gap %s and begins at the oldest message held', async (after, gap) => {
    const sent = await converse(`max-${after}`, `moe-${after}`, 2);
    expect(await pull(`recipient=max-${after}&after=${after}`)).toMatchObject({ messages: sent, gap });
  });
});

describe('a page before an id', () => {
  test.each([1, 2, 7, 10, 1000])('pages of %d before an id have every message once', async (limit) => {
    const [a, b] = [`c${limit}`, `d${limit}`];
    const sent = await converse(a, b, 20);
    for (const query of [
      `recipient=${a}`,
      `recipient=${a}&recipient=${b}`,
      `between=${a}&between=${b}`,
      `between=${b}&between=${a}`,
    ]) {
      const pages = await backward(`${query}&limit=${limit}`);
      expect(messagesOf(pages.toReversed())).toEqual(sent);
    }
  });

  test('a page before an id has 50 messages by default, beginning with the newest', async () => {
    const sent = await converse('nan', 'ole', 51);
    for (const query of ['recipient=nan&before=latest', 'between=nan&between=ole']) {
      expect(await pull(query)).toMatchObject({ messages: sent.slice(1), more: true });
    }
    expect(await pull(`between=nan&between=ole&before=${sent[1]?.id ?? 0}`)).toMatchObject({
      messages: sent.slice(0, 1),
      more: false,
    });
  });

  test('a page before an id has the head as its cursor: a stream that opens with it misses nothing', async () => {
    await converse('pam', 'quin', 3);
    for (const query of [
      'recipient=pam&before=latest',
      'recipient=pam&before=1',
      'recipient=quin&recipient=pam&before=latest',
      'between=pam&between=quin',
    ]) {
      const { cursor } = await pull(query);
      const missed = await send(server.url, 'pam', query);
      const device = await DeviceStream.open(server.url, `recipient=pam&lastEventId=${cursor}`);
      await device.waitFor('live');
      expect(device.messages).toEqual([missed]);
      expect(device.find('ready')?.data).toMatchObject({ gap: false });
    }
  });

  test('a page between two addresses has only the messages that they sent each other', async () => {
    const sent = await converse('rob', 'sue', 4);
    await send(server.url, 'rob', 'self', { sender: 'rob' });
    await send(server.url, 'rob', 'third', { sender: 'tom' });
    const note = await send(server.url, 'sue', 'any type', { sender: 'rob', type: 'note' });
    expect((await pull('between=rob&between=sue')).messages).toEqual([...sent, note]);
    expect((await pull('between=rob&between=nobody')).messages).toEqual([]);
  });
});

describe('a page of several inboxes before an id', () => {
  test('a page of several inboxes has all of their messages in one order, each once', async () => {
    const sent: WireMessage[] = [];
    for (const [sender, recipient] of [
      ['yan', 'zoe'],
      ['other', 'yan-room'],
      ['zoe', 'yan-room'],
      ['zoe', 'other'],
      ['other', 'another'],
      ['yan', 'yan'],
      ['yan-room', 'other'],
    ] as const)
      sent.push(await send(server.url, recipient, 1, { sender }));
    const of = (...indexes: number[]) => indexes.map((index) => sent[index]);
    for (const [query, messages] of [
      ['recipient=yan&recipient=yan-room', of(0, 1, 2, 5, 6)],
      ['recipient=zoe&recipient=yan', of(0, 2, 3, 5)],
      ['recipient=zoe&recipient=zoe&recipient=nobody', of(0, 2, 3)],
      ['recipient=nobody&recipient=none', []],
    ] as const) {
      const page = await pull(`${query}&before=latest`);
      expect(page).toEqual({ messages, cursor: page.cursor, more: false });
      expect((await pull(`${query}&before=${sent[0]?.id ?? 0}`)).messages).toEqual([]);
    }
    expect(await pull('recipient=yan&recipient=zoe&before=latest&limit=2')).toMatchObject({
      messages: of(3, 5),
      more: true,
      before: sent[3]?.id,
    });
  });

  test('pages of several inboxes, followed back, have exactly the messages of the pages after a cursor', async () => {
    await withRandom(async (random) => {
      const names = Array.from({ length: 8 }, (_, index) => `${random.seed}-${index}`);
      const drafts = Array.from({ length: 120 }, (_, content) => ({
        sender: random.pick(names),
        recipient: random.chance(0.2) ? 'noise' : random.pick(names),
        content: random.chance(0.1) ? 'x'.repeat(random.integer(1, 40_000)) : content,
      }));
      expect((await publish(server.url, drafts)).status).toBe(201);
      for (let round = 0; round < 12; round++) {
        const inboxes = names.filter(() => random.chance(0.4));
        const query = [...inboxes, random.pick(names), 'nobody'].map((name) => `recipient=${name}`).join('&');
        const limit = random.pick([5, 17, 1000]);
        const back = messagesOf((await backward(`${query}&limit=${limit}`)).toReversed());
        expect(back).toEqual(messagesOf(await forward(`${query}&limit=1000`)));
      }
    });
  });

  test('a page before an id takes up to a hundred inboxes, and * for the whole log', async () => {
    const names = Array.from({ length: 101 }, (_, index) => `one of many ${index}`);
    const sent = (
      await publish(
        server.url,
        names.map((recipient) => ({ recipient, content: 1 })),
      )
    ).body as WireMessage[];
    const of = (recipients: readonly string[]) =>
      recipients.map((name) => `recipient=${encodeURIComponent(name)}`).join('&');
    const hundred = of(names.slice(0, 100));
    expect((await pull(`${hundred}&before=latest&limit=1000`)).messages).toEqual(sent.slice(0, 100));
    expect(messagesOf((await backward(`${hundred}&limit=7`)).toReversed())).toEqual(sent.slice(0, 100));
    expect((await pull('recipient=*&recipient=*&before=latest&limit=101')).messages).toEqual(sent);
    for (const query of [of(names), of(['*', 'a']), of(['a', 'a*']), of(['a', ''])]) {
      const answer = await get(server.url, `/messages?${query}&before=latest`);
      expectProblem(answer, 400, ['/recipient']);
      expect(answer.body).toEqual((await get(server.url, `/messages?${query}`)).body);
    }
  });
});

describe('a page of large messages', () => {
  test('a page of large messages has fewer than its limit, and paging still meets each once', async () => {
    const content = 'x'.repeat(48 * 1024 - 2);
    const ids: number[] = [];
    for (let index = 0; index < 50; index += 1) {
      ids.push((await send(server.url, 'una', content, { sender: 'vic' })).id);
    }
    for (const pages of [
      await forward('recipient=una&limit=1000'),
      (await backward('recipient=una&limit=1000')).toReversed(),
      (await backward('recipient=vic&recipient=nobody&recipient=una&limit=1000')).toReversed(),
      (await backward('between=una&between=vic&limit=1000')).toReversed(),
    ]) {
      expect(messagesOf(pages).map(({ id }) => id)).toEqual(ids);
      expect(pages.length).toBeGreaterThan(1);
      for (const { messages } of pages) {
        expect(messages.length).toBeGreaterThan(0);
        expect(Buffer.byteLength(JSON.stringify(messages))).toBeLessThanOrEqual(MIB + 2);
      }
    }
  });
});

describe('the field "more"', () => {
  test('the field "more" is true exactly if another page has something', async () => {
    for (const recipient of ['more-z', 'more-a', 'more-a', 'more-b']) await send(server.url, recipient, 1);
    for (const [query, more] of [
      ['recipient=more-a&limit=2', false],
      ['recipient=more-z&limit=1', false],
      ['recipient=more-a&limit=1', true],
      ['recipient=more-a&before=latest&limit=2', false],
      ['recipient=more-a&before=latest&limit=1', true],
      ['recipient=more-a&recipient=more-z&before=latest&limit=3', false],
      ['recipient=more-a&recipient=more-z&before=latest&limit=2', true],
      ['between=more-a&between=anonymous&limit=2', false],
      ['between=more-a&between=anonymous&limit=1', true],
    ] as const) {
      expect({ query, more: (await pull(query)).more }).toEqual({ query, more });
    }
  });
});

describe('messages to oneself', () => {
  test('messages to oneself are a conversation with oneself', async () => {
    const note = await send(server.url, 'diarist', 'note', { sender: 'diarist' });
    await send(server.url, 'other', 'no note', { sender: 'diarist' });
    expect((await pull('between=diarist&between=diarist')).messages).toEqual([note]);
  });
});

describe('a query', () => {
  test.each([
    'recipient=a&after=0&before=5',
    'recipient=a&before=5&wait=1',
    'recipient=a&between=b&between=c',
    'between=a&between=b&after=0',
    'between=a&between=b&wait=1',
    'between=a',
    'between=a&between=b&between=c',
    'recipient=a&recipient=b&before=5&after=0',
    'recipient=a&recipient=b&before=5&wait=1',
    '',
    'after=0',
    'before=latest',
  ])('a query that mixes forms, or has none, is refused: %s', async (query) => {
    expectProblem(await get(server.url, `/messages?${query}`), 400);
  });

  test.each([
    'recipient=a',
    'recipient=a&before=latest',
    'recipient=a&recipient=b&before=latest',
    'between=a&between=b',
  ])('the limit of a page is from 1 to 1000: %s', async (query) => {
    for (const limit of ['1', '1000']) await pull(`${query}&limit=${limit}`);
    for (const limit of ['0', '1001', '-1', '1.5', '', 'x', '1e2']) {
      expectProblem(await get(server.url, `/messages?${query}&limit=${limit}`), 400, ['/limit']);
    }
  });

  test.each(['0', '-1', '1.5', '', 'x', 'LATEST', '9007199254740992'])(
    'a page before %s is refused',
    async (before) => {
      expectProblem(await get(server.url, `/messages?recipient=a&before=${before}`), 400, ['/before']);
    },
  );
});

describe('GET /messages/ID', () => {
  test('GET /messages/ID answers one message', async () => {
    const sent = await send(server.url, 'wim', { a: 1 }, { sender: 'xu', idempotencyKey: 'k', ttl: 1000 });
    expect(await get(server.url, `/messages/${sent.id}`)).toMatchObject({ status: 200, body: sent });
  });

  test.each(['0', '999999999', '-1', 'x', '1.5', '9007199254740993', '1-abc', '%00'])(
    'GET /messages/%s is 404',
    async (id) => {
      expectProblem(await get(server.url, `/messages/${id}`), 404);
    },
  );
});
