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

describe.each(TRANSPORTS)('a connection by %s', (transport) => {
  let server: Server;
  beforeAll(async () => (server = await Server.start({ env: { HEARTBEAT_SECONDS: '1' } })));

  test('a connection gets each message once and in order, and says how messages come', async () => {
    const recipient = newInbox();
    const client = open({ url: server.url, recipient, transport });
    await client.waitForState('live');
    expect(client.status.transport).toBe(transport === 'polling' ? 'polling' : 'stream');
    for (let count = 0; count < 20; count++) await send(server.url, recipient, count);
    expect(await client.waitForContents(20)).toEqual(Array.from({ length: 20 }, (_, index) => index));
    expect(client.status).toMatchObject({ state: 'live', problem: null, shared: false, persistent: false });
  });

  test('a connection sends a message, and gets the message that it sent', async () => {
    const recipient = newInbox();
    const client = open({ url: server.url, recipient, transport });
    const stored = await client.connection.send({ recipient, content: { n: 1 } });
    expect(stored).toMatchObject({ recipient, content: { n: 1 } });
    await client.waitForContents(1);
    expect(client.messages[0]?.id).toBe(stored.id);
  });

  test('a connection begins with the newest messages if it asks for them', async () => {
    const recipient = newInbox();
    for (let count = 0; count < 5; count++) await send(server.url, recipient, count);
    const client = open({ url: server.url, recipient, transport, last: 2 });
    expect(await client.waitForContents(2)).toEqual([3, 4]);
  });

  test('a connection goes on at a cursor, and learns of a gap if the service does not know the cursor', async () => {
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

  test('a connection hands on one message at a time, and moves its cursor when the message is done', async () => {
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

  test('a connection ends when its signal is aborted, and hands on nothing more', async () => {
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

  test('a loop over messages begins with the message that an earlier loop left, and ends when the connection closes', async () => {
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

  test('a message that one loop leaves goes to another loop that already waits', async () => {
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

  test('a connection refuses wrong parameters for presence and history', async () => {
    const { connection } = open({ url: server.url, recipient: newInbox(), transport });
    expect(() => connection.watch(['*'])).toThrow('watch: "addresses" must be a list of up to 100 addresses');
    await expect(connection.history({ limit: 0 })).rejects.toThrow('history: "limit" must be a whole number');
  });
});

describe.each(['fetch', 'polling'] as const)('a connection with a token, by %s', (transport) => {
  let server: Server;
  beforeAll(async () => (server = await Server.start({ env: { AUTH_SECRET: SECRET } })));

  test('a connection asks once for another token when one has expired, and misses nothing', async () => {
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

  test('a connection is refused with the problem of the service, and goes on when it is asked to', async () => {
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

  test('a connection tries again while it can get no token', async () => {
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
  ])('a connection reports that its token function returns no token but %s', async (_what, got) => {
    const client = open({ url: server.url, recipient: newInbox(), transport, token: () => got });
    await client.waitForState('offline');
    expect(client.status.detail).toMatch(/^cannot get a token: "token" must return a text without spaces/);
  });

  test('a connection ends if its token function begins to return the tokens of another client', async () => {
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

  test('a connection reports that its token is refused, and goes on when it gets a good one', async () => {
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
