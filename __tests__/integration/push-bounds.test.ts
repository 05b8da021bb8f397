import { join } from 'node:path';
import { afterEach, describe, expect, test } from '@jest/globals';
import { openForWriting } from '../../src/log/replica/database.ts';
import { type Answer, publish, request, send } from '../support/api.ts';
import { scrape } from '../support/exposition.ts';
import { expectProblem } from '../support/problems.ts';
import { PushDevice } from '../support/push-device.ts';
import { PushNetwork, pushTest } from '../support/push-network.ts';
import { dealtWith, markRead, subscriptionsIn } from '../support/push-state.ts';
import { cleanUp, newFolder, Server } from '../support/server.ts';
import { bearer, SECRET, tokenFor } from '../support/tokens.ts';
import { until } from '../support/until.ts';

afterEach(cleanUp);

/** A host of the browsers' own; nothing is sent to it, since nothing is published for whoever subscribes. */
const HOST = 'fcm.googleapis.com';

type Given = readonly [recipient: string, reader: string, device: PushDevice, client?: string];

/** A database with subscriptions from before there were bounds. */
function databaseWith(given: readonly Given[]): string {
  const file = join(newFolder(), 'tidings.sqlite');
  const database = openForWriting(file);
  const add = database.prepare(
    'INSERT INTO pushSubscriptions (client, recipient, reader, endpoint, p256dh, auth, createdAt, since, through) ' +
      'VALUES (?, ?, ?, ?, ?, ?, 1, 0, 0)',
  );
  database.transaction(() => {
    for (const [recipient, reader, { subscription }, client = null] of given) {
      const { endpoint, keys } = subscription;
      add.run(client, recipient, reader, endpoint, keys.p256dh, keys.auth);
    }
  })();
  database.close();
  return file;
}

const rooms = (count: number): string[] => Array.from({ length: count }, (_, index) => `room-${index}`);

function ask({ url }: { url: string }, method: string, body: object, headers = {}): Promise<Answer> {
  return request(`${url}/push-subscriptions`, {
    method,
    headers: { 'Content-Type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });
}

interface Page {
  readonly subscriptions: { readonly reader: string }[];
  readonly after?: number;
}

describe('subscriptions without end', () => {
  test('a device follows up to 100 recipients; the next is refused by name, and known ones are renewed', async () => {
    const server = await Server.start();
    const { subscription, endpoint } = new PushDevice(HOST);
    for (const recipient of rooms(100)) {
      expect((await ask(server, 'POST', { recipient, reader: 'bob', subscription })).status).toBe(201);
    }
    const next = { recipient: 'room-100', reader: 'bob', subscription };
    expectProblem(await ask(server, 'POST', next), 422, ['/recipient']);
    expect((await ask(server, 'POST', { ...next, recipient: 'room-7' })).status).toBe(200);
    const other = { ...next, subscription: new PushDevice(HOST).subscription };
    expect((await ask(server, 'POST', other)).status).toBe(201);
    expect((await ask(server, 'DELETE', { endpoint, recipient: 'room-7' })).status).toBe(204);
    expect((await ask(server, 'POST', next)).status).toBe(201);
    const metrics = await scrape(server.url);
    expect([metrics.value('tidings_push_subscriptions'), subscriptionsIn(server.database)]).toEqual([
      101, 101,
    ]);
  });

  test('a client has up to 5000 subscriptions; the next is refused by name, and another client is not', async () => {
    const database = databaseWith(
      Array.from({ length: 5000 }, (_, index) => {
        return [`room-${index}`, 'ann', new PushDevice(HOST), 'ann'] as const;
      }),
    );
    const server = await Server.start({ database, env: { AUTH_SECRET: SECRET } });
    const { subscription } = new PushDevice(HOST);
    const [ann, ben] = [bearer(await tokenFor('ann')), bearer(await tokenFor('ben'))];
    expectProblem(await ask(server, 'POST', { subscription }, ann), 422, ['/subscription']);
    expect((await ask(server, 'POST', { subscription }, ben)).status).toBe(201);
    expect(subscriptionsIn(database)).toBe(5001);
  });

  test('a list of subscriptions has pages of 500, also for a client that may see few of them', async () => {
    const readers = Array.from({ length: 1100 }, (_, index) => `reader-${index}`);
    const database = databaseWith(readers.map((reader) => ['room', reader, new PushDevice(HOST)] as const));
    const server = await Server.start({ database, env: { AUTH_SECRET: SECRET } });
    const list = (query: string, headers: Record<string, string>): Promise<Answer> =>
      request(`${server.url}/push-subscriptions?${query}`, { headers });
    const pagesFor = async (read: string[]): Promise<string[][]> => {
      const headers = bearer(await tokenFor('reader-700', { read }));
      const pages: string[][] = [];
      for (let after: number | undefined = 0; after !== undefined;) {
        const page = (await list(`recipient=room&after=${after}`, headers)).body as Page;
        pages.push(page.subscriptions.map(({ reader }) => reader));
        after = page.after;
      }
      return pages;
    };
    const all = await pagesFor(['*']);
    expect(all.map(({ length }) => length)).toEqual([500, 500, 100]);
    expect(all.flat()).toEqual(readers);
    expect(await pagesFor(['room', 'reader-700'])).toEqual([[], ['reader-700'], []]);
    expectProblem(await list('after=x', bearer(await tokenFor('room'))), 400, ['/after']);
  });
});

describe('a database in which one device follows 10,000 recipients', () => {
  pushTest('a device with 10,000 recipients from an old database is notified, and can be ended', async () => {
    const network = await PushNetwork.start();
    const device = new PushDevice();
    const other = new PushDevice();
    const given = rooms(10_000).map((room): Given => [room, 'bob', device]);
    const database = databaseWith([...given, ['room-9', 'ann', other]]);
    const before = await Server.start({ database, env: { PUSH_DELAY_SECONDS: '3600' } });
    await send(before.url, 'room-9999', 'missed', { sender: 'alice' });
    await before.kill();
    const server = await network.startServer({}, database);
    expect((await network.waitFor(device, 1))[0]?.payload).toMatchObject({
      content: 'missed',
      recipient: 'room-9999',
    });

    const batch = rooms(100).map((recipient) => ({ recipient, sender: 'alice', content: 'new' }));
    expect((await publish(network.url, batch)).status).toBe(201);
    const opened = await network.waitFor(device, 101);
    expect(new Set(opened.map(({ payload }) => payload.recipient)).size).toBe(101);
    expect((await network.waitFor(other, 1))[0]?.payload.recipient).toBe('room-9');
    // A message of one's own is no news, whichever of the names it was sent as.
    const own = await send(network.url, 'room-5', 'own', { sender: 'bob' });
    const fromRoom = await send(network.url, 'room-5', 'own', { sender: 'room-9876' });
    await dealtWith(server.database, 'room-5', fromRoom.id);
    await markRead(network.url, 'bob', 'room-5', own.id);
    const last = (await network.waitFor(device, 102)).at(-1);
    expect(last?.payload).toMatchObject({ type: 'read', recipient: 'room-5' });

    const { endpoint } = device;
    expect((await ask(network, 'DELETE', { endpoint })).status).toBe(204);
    await until(() => subscriptionsIn(server.database) === 1, 'the end of all');
    expect((await scrape(network.url)).value('tidings_push_subscriptions')).toBe(1);
    expect((await server.stop()).code).toBe(0);
  });
});

pushTest('a device is told of 250 conversations one by one, each once, and then of their end', async () => {
  const network = await PushNetwork.start();
  const server = await network.startServer();
  const phone = await network.subscribe('bob');
  const senders = Array.from({ length: 250 }, (_, index) => `sender-${index}`);
  const messages = [1, 2].flatMap((content) =>
    senders.map((sender) => ({ sender, recipient: 'bob', content })),
  );
  expect((await publish(network.url, messages)).status).toBe(201);
  await dealtWith(server.database, 'bob', 500);
  const opened = await network.openedOf(phone);
  expect(opened.map(({ payload }) => [payload.peer, payload.content])).toEqual(
    senders.map((sender) => [sender, 2]),
  );
  const markers = senders.map((recipient) => {
    return { sender: 'bob', recipient, type: 'read', content: { messageId: 500 } };
  });
  expect((await publish(network.url, markers)).status).toBe(201);
  const closed = (await network.waitFor(phone, 500)).slice(250);
  expect(new Set(closed.map(({ payload }) => payload.peer))).toEqual(new Set(senders));
  expect(closed.map(({ payload }) => payload.type)).not.toContain('message');
});
