/** The promises of `client.js`, by each way in which messages may come, in a program. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { send } from '../support/api.ts';
import { NodeClient, TRANSPORTS } from '../support/client-in-node.ts';
import { connect } from '../../public/client/connect.js';
import { cleanUp, Server, undoAtEnd } from '../support/server.ts';
import { SECRET, secondsFromNow, tokenFor } from '../support/tokens.ts';
import { until } from '../support/until.ts';

const clients: NodeClient[] = [];
afterEach(() => {
  for (const { connection } of clients.splice(0)) connection.close();
});
afterAll(cleanUp);

function open(options: ConstructorParameters<typeof NodeClient>[0]): NodeClient {
  const client = new NodeClient(options);
  clients.push(client);
  return client;
}

let names = 0;
/** An inbox that no other test has. */
const newInbox = (): string => `inbox-${names++}`;

describe.each(TRANSPORTS)('by %s, a connection', (transport) => {
  let server: Server;
  beforeAll(async () => (server = await Server.start({ env: { HEARTBEAT_SECONDS: '1' } })));

  test('gets each message once and in order, and says how it comes', async () => {
    const recipient = newInbox();
    const client = open({ url: server.url, recipient, transport });
    await client.waitForState('live');
    expect(client.status.transport).toBe(transport === 'polling' ? 'polling' : 'stream');
    for (let count = 0; count < 20; count++) await send(server.url, recipient, count);
    expect(await client.waitForContents(20)).toEqual(Array.from({ length: 20 }, (_, index) => index));
    expect(client.status).toMatchObject({ state: 'live', problem: null, shared: false, persistent: false });
  });

  test('sends, and gets what it has sent', async () => {
    const recipient = newInbox();
    const client = open({ url: server.url, recipient, transport });
    const stored = await client.connection.send({ recipient, content: { n: 1 } });
    expect(stored).toMatchObject({ recipient, content: { n: 1 } });
    await client.waitForContents(1);
    expect(client.messages[0]?.id).toBe(stored.id);
  });

  test('begins with the newest messages if it asks for them', async () => {
    const recipient = newInbox();
    for (let count = 0; count < 5; count++) await send(server.url, recipient, count);
    const client = open({ url: server.url, recipient, transport, last: 2 });
    expect(await client.waitForContents(2)).toEqual([3, 4]);
  });

  test('goes on at a cursor, and is told of one that the service does not know', async () => {
    const recipient = newInbox();
    const first = open({ url: server.url, recipient, transport });
    await first.waitForState('live');
    await send(server.url, recipient, 'seen');
    await first.waitForContents(1);
    const { cursor } = first.connection;
    first.connection.close();
    await send(server.url, recipient, 'missed');
    const second = open({
      url: server.url,
      recipient,
      transport,
      ...(cursor === undefined ? {} : { cursor }),
    });
    expect(await second.waitForContents(1)).toEqual(['missed']);
    const lost = open({ url: server.url, recipient, transport, cursor: 'gibberish' });
    await until(() => lost.gaps.length > 0, 'the gap');
    expect(lost.gaps).toEqual(['unknown']);
    expect(await lost.waitForContents(2)).toEqual(['seen', 'missed']);
  });

  test('takes one message at a time, and moves its cursor when that is done', async () => {
    const recipient = newInbox();
    const begun: unknown[] = [];
    const done: (() => void)[] = [];
    const client = open({
      url: server.url,
      recipient,
      transport,
      onMessage: ({ content }) => {
        begun.push(content);
        return new Promise<void>((resolve) => done.push(resolve));
      },
    });
    await client.waitForState('live');
    const start = client.connection.cursor;
    const ids = [];
    for (const content of ['a', 'b']) ids.push((await send(server.url, recipient, content)).id);
    await until(() => begun.length === 1);
    expect(client.connection.cursor).toBe(start);
    done[0]?.();
    await until(() => begun.length === 2);
    expect(begun).toEqual(['a', 'b']);
    expect(Number.parseInt(client.connection.cursor ?? '', 10)).toBe(ids[0]);
  });

  test('ends when its signal is aborted, and is told nothing more', async () => {
    const recipient = newInbox();
    const ending = new AbortController();
    const client = open({ url: server.url, recipient, transport, signal: ending.signal });
    await client.waitForState('live');
    ending.abort();
    await send(server.url, recipient, 'late');
    await expect(client.connection.send({ recipient, content: 1 })).rejects.toThrow(
      'the connection is closed',
    );
    expect(client.contents).toEqual([]);
    expect(client.status).toMatchObject({ state: 'closed', detail: '', problem: null });
    expect(client.statuses.at(-1)?.state).toBe('live');
    expect(open({ url: server.url, recipient, transport, signal: ending.signal }).status.state).toBe(
      'closed',
    );
  });

  test('is iterated over: a message that a loop left is the first of the next one, and closing ends the loop', async () => {
    const recipient = newInbox();
    const connection = connect({ url: server.url, recipient, transport });
    for (const content of ['a', 'b', 'c']) await connection.send({ recipient, content });
    const seen: unknown[] = [];
    for await (const { content } of connection.messages()) {
      seen.push(content);
      if (content === 'b') break;
    }
    for await (const { content } of connection.messages()) {
      seen.push(content);
      if (content === 'c') connection.close();
    }
    expect(seen).toEqual(['a', 'b', 'b', 'c']);
  });

  test('gives the message that a loop left to another one that waits already', async () => {
    const recipient = newInbox();
    const connection = connect({ url: server.url, recipient, transport });
    undoAtEnd(() => connection.close());
    const [leaving, left, waiting] = [connection.messages(), connection.messages(), connection.messages()];
    const first = leaving.next();
    await connection.send({ recipient, content: 'a' });
    expect((await first).value).toMatchObject({ content: 'a' });
    const next = waiting.next();
    await leaving.return();
    expect((await next).value).toMatchObject({ content: 'a' });
    await waiting.return();
    // One that is left before there is a message is left when it comes.
    const taken = left.next();
    const done = left.return();
    expect((await taken).value).toMatchObject({ content: 'a' });
    await done;
    expect((await connection.messages().next()).value).toMatchObject({ content: 'a' });
  });

  test('asks for the presence and the history only of what there can be', async () => {
    const { connection } = open({ url: server.url, recipient: newInbox(), transport });
    expect(() => connection.watch(['*'])).toThrow('watch: "addresses" must be a list of up to 100 addresses');
    await expect(connection.history({ limit: 0 })).rejects.toThrow('history: "limit" must be a whole number');
  });
});

describe.each(['fetch', 'polling'] as const)('with a token, by %s, a connection', (transport) => {
  let server: Server;
  beforeAll(async () => (server = await Server.start({ env: { AUTH_SECRET: SECRET } })));

  test('gets another token when one has expired, asks once at a time, and misses nothing', async () => {
    const recipient = newInbox();
    let asked = 0;
    const token = (): Promise<string> => {
      asked++;
      return tokenFor(recipient, { sendTo: ['*'] }, { exp: secondsFromNow(asked === 1 ? 2 : 600) });
    };
    const client = open({ url: server.url, recipient, transport, token });
    await client.waitForState('live');
    const { exp } = { exp: secondsFromNow(3) };
    let count = 0;
    while (secondsFromNow(0) < exp) await client.connection.send({ recipient, content: count++ });
    await client.waitForContents(count);
    expect(client.contents).toEqual(Array.from({ length: count }, (_, index) => index));
    await until(() => asked === 2, 'the second token');
    await client.waitForState('live');
    expect(asked).toBe(2);
  });

  test('is refused with the problem of the service, and goes on when it is asked to', async () => {
    const recipient = newInbox();
    let grants = { read: ['nobody'] };
    const client = open({ url: server.url, recipient, transport, token: () => tokenFor('al', grants) });
    await client.waitForState('refused');
    expect(client.status.problem).toMatchObject({
      status: 403,
      detail: expect.stringContaining('"read"') as unknown,
    });
    expect(client.status.detail).toBe(client.status.problem?.detail);
    grants = { read: [recipient] };
    client.connection.reconnect();
    await client.waitForState('live');
    expect(client.status.problem).toBeNull();
  });

  test('tries again while no token can be got', async () => {
    const recipient = newInbox();
    let asked = 0;
    const client = open({
      url: server.url,
      recipient,
      transport,
      token: () => {
        if (asked++ === 0) throw new Error('the back end is away');
        return tokenFor(recipient);
      },
    });
    await client.waitForState('offline');
    expect(client.status).toMatchObject({
      detail: 'cannot get a token: the back end is away',
      problem: null,
    });
    await client.waitForState('live');
    expect(asked).toBe(2);
  });

  test.each([
    ['an empty text', ''],
    ['two lines', 'a\nb'],
    ['no text', undefined as unknown as string],
  ])('says that its function gets no token but %s', async (_what, got) => {
    const client = open({ url: server.url, recipient: newInbox(), transport, token: () => got });
    await client.waitForState('offline');
    expect(client.status.detail).toMatch(/^cannot get a token: "token" must return a text without spaces/);
  });

  test('is told if its function begins to get the tokens of somebody else, and ends', async () => {
    const recipient = newInbox();
    let sub = recipient;
    const refused: unknown[] = [];
    const client = open({
      url: server.url,
      recipient,
      transport,
      token: () => tokenFor(sub, { sendTo: ['*'] }, { exp: secondsFromNow(2) }),
      onRefused: ({ draft }) => void refused.push(draft),
    });
    await client.waitForState('live');
    sub = 'mallory';
    await client.waitForState('replaced');
    await expect(client.connection.send({ recipient: 'bob', content: 'not hers' })).rejects.toThrow('closed');
    expect(refused).toEqual([]);
  });

  test('says that a token is refused, and goes on when it gets a good one', async () => {
    const recipient = newInbox();
    let isGood = false;
    const token = (): string | Promise<string> => (isGood ? tokenFor(recipient) : 'garbage');
    const client = open({ url: server.url, recipient, transport, token });
    await client.waitForState('offline');
    expect(client.status.problem).toMatchObject({ status: 401 });
    expect(client.status.detail).toBe(client.status.problem?.detail);
    isGood = true;
    await client.waitForState('live');
    expect(client.status.problem).toBeNull();
  });
});
