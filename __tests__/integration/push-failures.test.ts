import { afterEach, describe, expect } from '@jest/globals';
import { get, publish, send, type WireMessage } from '../support/api.ts';
import { scrape } from '../support/exposition.ts';
import { LockHolder } from '../support/lock-holder.ts';
import { PushDevice } from '../support/push-device.ts';
import { answering, type Answering, PushNetwork, pushTest } from '../support/push-network.ts';
import { dealtWith, markRead, outcomes, subscriptionsIn } from '../support/push-state.ts';
import { cleanUp, type Server } from '../support/server.ts';
import { until } from '../support/until.ts';

afterEach(cleanUp);

const HOST = 'push.example.org';

const countOf = (network: PushNetwork, device: PushDevice): number =>
  network.pushed.filter((one) => device.isOf(one)).length;

/** The lines of the log that are about push services. */
const linesOf = (server: Server): Record<string, unknown>[] =>
  server.stderr
    .split('\n')
    .filter((line) => line.includes('push service'))
    .map((line) => JSON.parse(line) as Record<string, unknown>);

describe('the answers of a push service', () => {
  pushTest.each([404, 410])('a device that its push service answers with %d is removed', async (status) => {
    const network = await PushNetwork.start();
    const server = await network.startServer();
    const [gone, other] = [await network.subscribe('bob'), await network.subscribe('bob')];
    await network.subscribe('room', { device: gone, reader: 'bob' });
    expect(subscriptionsIn(server.database)).toBe(3);
    network.answers.set(HOST, (response, pushed) =>
      answering(gone.isOf(pushed) ? status : 201)(response, pushed),
    );
    await send(network.url, 'bob', 'one', { sender: 'alice' });
    await until(() => subscriptionsIn(server.database) === 1, 'its end');
    await network.waitFor(other, 1);
    const last = await send(network.url, 'bob', 'two', { sender: 'alice' });
    await send(network.url, 'room', 'three', { sender: 'alice' });
    await dealtWith(server.database, 'bob', last.id);
    expect([countOf(network, gone), countOf(network, other)]).toEqual([1, 2]);
    expect((await scrape(network.url)).value('tidings_push_subscriptions')).toBe(1);
  });

  pushTest.each([400, 401, 403, 413, 301, 307])(
    'a device whose push service refuses with %d does not get that message, and gets the next one',
    async (status) => {
      const network = await PushNetwork.start();
      const server = await network.startServer();
      const phone = await network.subscribe('bob');
      const location = 'https://other.example.org/elsewhere';
      network.answers.set(HOST, answering(status, { Location: location }));
      const first = await send(network.url, 'bob', 'one', { sender: 'alice' });
      await dealtWith(server.database, 'bob', first.id);
      const second = await send(network.url, 'bob', 'two', { sender: 'alice' });
      await dealtWith(server.database, 'bob', second.id);
      await until(() => linesOf(server).length > 0, 'a line in the log');
      // Said once.
      expect(linesOf(server)).toMatchObject([{ level: 40, service: HOST, why: `answered ${status}` }]);
      network.answers.clear();
      const third = await send(network.url, 'bob', 'three', { sender: 'alice' });
      await dealtWith(server.database, 'bob', third.id);
      const opened = await network.openedOf(phone);
      expect(opened.map(({ payload }) => payload.content)).toEqual(['one', 'two', 'three']);
      // A redirect is not followed.
      expect(network.pushed.map(({ host }) => host)).toEqual([HOST, HOST, HOST]);
      expect(subscriptionsIn(server.database)).toBe(1);
      await until(() => linesOf(server).length > 1, 'its line in the log');
      expect(linesOf(server)[1]).toMatchObject({ level: 30, msg: 'the push service accepts messages again' });
    },
  );

  pushTest(
    'a device whose push service cannot take a message now gets it later, the newest of its conversation only',
    async () => {
      const failures = Object.entries<Answering>({
        'says 500': answering(500),
        'says 503 and when': answering(503, { 'Retry-After': new Date(Date.now() + 2000).toUTCString() }),
        'says 429 and when': answering(429, { 'Retry-After': '1' }),
        'closes the connection': (response) => void response.destroy(),
        'breaks off its answer': (response) => {
          response.writeHead(201, { 'Content-Length': '10' }).write('x');
          setTimeout(() => response.destroy(), 50);
        },
        'never answers': () => undefined,
        'never ends its answer': (response) => void response.writeHead(201).write('x'),
      });
      const network = await PushNetwork.start();
      const server = await network.startServer();
      const devices = await Promise.all(failures.map(() => network.subscribe('bob')));
      const failing = new Set(devices);
      network.answers.set(HOST, (response, pushed) => {
        const index = devices.findIndex((device) => device.isOf(pushed));
        const device = devices[index] as PushDevice;
        (failing.has(device) ? failures[index]?.[1] : answering(201))?.(response, pushed);
      });
      await send(network.url, 'bob', 'one', { sender: 'alice' });
      await outcomes(network.url, 'failed', failures.length);
      expect((await scrape(network.url)).value('tidings_notification_devices_waiting')).toBeGreaterThan(0);
      failing.clear();
      const last = await send(network.url, 'bob', 'two', { sender: 'alice' });
      await until(() => network.pushed.length >= failures.length, 'tries');
      await dealtWith(server.database, 'bob', last.id);
      for (const [index, device] of devices.entries()) {
        const contents = (await network.openedOf(device)).map(({ payload }) => payload.content);
        // The newest alone, once it is taken; an attempt before it had the first.
        expect([failures[index]?.[0], contents.at(-1)]).toEqual([failures[index]?.[0], 'two']);
        expect(contents.filter((content) => content === 'two')).toHaveLength(1);
      }
      const metrics = await scrape(network.url);
      expect(metrics.value('tidings_notification_devices_waiting')).toBe(0);
      expect(metrics.value('tidings_notification_requests_total', { result: 'refused' })).toBe(0);
    },
  );

  pushTest('a device gets nothing within the hour that its push service asks for; others do', async () => {
    const network = await PushNetwork.start();
    await network.startServer();
    const [patient, other] = [await network.subscribe('bob'), await network.subscribe('bob')];
    network.answers.set(HOST, (response, pushed) =>
      answering(503, patient.isOf(pushed) ? { 'Retry-After': '3600' } : {})(response, pushed),
    );
    await send(network.url, 'bob', 'one', { sender: 'alice' });
    // After 2 to 4 seconds, and 4 to 8 more.
    await until(() => countOf(network, other) === 3, 'three tries');
    expect(countOf(network, patient)).toBe(1);
  });

  pushTest('a push service that answers with a body without end has taken the message', async () => {
    const network = await PushNetwork.start();
    const server = await network.startServer();
    const phone = await network.subscribe('bob');
    let closed = 0;
    network.answers.set(HOST, (response) => {
      response.writeHead(201).on('close', () => closed++);
      const pour = (): void => {
        while (!response.destroyed && response.write(Buffer.alloc(65_536)));
      };
      response.on('drain', pour);
      pour();
    });
    const sent = await send(network.url, 'bob', 'one', { sender: 'alice' });
    await dealtWith(server.database, 'bob', sent.id);
    await until(() => closed === 1, 'the end of the connection');
    expect(countOf(network, phone)).toBe(1);
  });
});

pushTest('a push service that hangs delays no other and no publish; its requests are bounded', async () => {
  const network = await PushNetwork.start();
  const server = await network.startServer();
  network.answers.set('slow.example.org', () => undefined);
  const slow = Array.from({ length: 30 }, () => new PushDevice('slow.example.org'));
  for (const device of slow) await network.subscribe('bob', { device });
  const quick = await network.subscribe('bob');
  await send(network.url, 'bob', 'one', { sender: 'alice' });
  await until(() => network.pushed.length === 21, 'as many as may be under way, and the quick one');
  // While those hang, messages are published, and the quick one is notified of each.
  for (const content of ['two', 'three', 'four']) {
    const count = countOf(network, quick);
    await send(network.url, 'bob', content, { sender: 'alice' });
    await network.waitFor(quick, count + 1);
  }
  const metrics = await scrape(network.url);
  expect(metrics.value('tidings_notification_requests_in_flight')).toBe(20);
  expect(metrics.value('tidings_notification_devices_waiting')).toBe(10);
  expect(metrics.value('tidings_notification_requests_total', { result: 'failed' })).toBe(0);
  expect(network.pushed.filter(({ host }) => host === 'slow.example.org')).toHaveLength(20);
  expect((await server.stop()).code).toBe(0);
});

pushTest(
  'a message that is read or expires while it waits for others is not sent, and the next one is',
  async () => {
    const network = await PushNetwork.start();
    const server = await network.startServer();
    const hanging: (() => void)[] = [];
    network.answers.set(
      'slow.example.org',
      (response) => void hanging.push(() => response.writeHead(201).end()),
    );
    const onSlow = (recipient: string): Promise<PushDevice> =>
      network.subscribe(recipient, { device: new PushDevice('slow.example.org') });
    for (let count = 0; count < 20; count++) await onSlow('filler');
    const [bob, carol] = [await onSlow('bob'), await onSlow('carol')];
    await send(network.url, 'filler', 'hang');
    await until(() => hanging.length === 20, 'as many as may be under way');
    const read = await send(network.url, 'bob', 'read meanwhile', { sender: 'alice' });
    const batch = [{ content: 'kept' }, { content: 'short', ttl: 1 }];
    const messages = batch.map((fields) => ({ recipient: 'carol', sender: 'alice', ...fields }));
    const [, short] = (await publish(network.url, messages)).body as WireMessage[];
    await until(
      async () => (await scrape(network.url)).value('tidings_notification_devices_waiting') === 2,
      'two that wait',
    );
    await markRead(network.url, 'bob', 'alice', read.id);
    const lookUp = async (): Promise<number> => (await get(network.url, `/messages/${short?.id}`)).status;
    await until(async () => (await lookUp()) === 404, 'the end of the short one');
    network.answers.clear();
    for (const answer of hanging) answer();
    const opened = await network.waitFor(carol, 1);
    await dealtWith(server.database, 'bob', read.id);
    await dealtWith(server.database, 'carol', 3);
    expect(opened.map(({ payload }) => payload.content)).toEqual(['kept']);
    expect(countOf(network, bob)).toBe(0);
  },
);

pushTest(
  'at the end of the service, requests under way are finished, and hanging ones are cut and sent after the next start',
  async () => {
    const network = await PushNetwork.start();
    const server = await network.startServer();
    const hanging = await network.subscribe('bob', { device: new PushDevice('slow.example.org') });
    const late = await network.subscribe('bob');
    const answers: (() => void)[] = [];
    network.answers.set('slow.example.org', () => undefined);
    network.answers.set(HOST, (response) => void answers.push(() => response.writeHead(201).end()));
    const sent = await send(network.url, 'bob', 'one', { sender: 'alice' });
    await until(() => network.pushed.length === 2, 'both');
    const ended = server.stop();
    await until(() => server.stderr.includes('shutting down'), 'the end to begin');
    for (const answer of answers) answer();
    expect((await ended).code).toBe(0);

    network.answers.clear();
    const next = await network.startServer();
    await dealtWith(next.database, 'bob', sent.id);
    expect([countOf(network, late), countOf(network, hanging)]).toEqual([1, 2]);
  },
);

pushTest(
  'a notification that was sent while the log cannot be written is recorded later, and not sent again',
  async () => {
    const network = await PushNetwork.start();
    const server = await network.startServer({ LOG_LEVEL: 'debug' });
    const phone = await network.subscribe('bob');
    const answers: (() => void)[] = [];
    network.answers.set(HOST, (response) => void answers.push(() => response.writeHead(201).end()));
    const sent = await send(network.url, 'bob', 'one', { sender: 'alice' });
    await until(() => answers.length === 1, 'the notification');
    const holder = await LockHolder.hold(server.database, 'BEGIN IMMEDIATE');
    for (const answer of answers) answer();
    const tries = (): number => server.stderr.split('sent notifications cannot be recorded yet').length - 1;
    await until(() => tries() >= 2, 'two tries to write');
    await holder.release();
    await dealtWith(server.database, 'bob', sent.id);
    expect(countOf(network, phone)).toBe(1);
  },
);

pushTest(
  'a device whose expirationTime has passed is removed only if its push service says that it is gone',
  async () => {
    const network = await PushNetwork.start();
    const server = await network.startServer();
    const [expired, kept, later] = [new PushDevice(), new PushDevice(), new PushDevice()];
    for (const device of [expired, kept]) device.expirationTime = Date.now() - 1;
    later.expirationTime = Date.now() + 3_600_000;
    for (const device of [expired, kept, later]) await network.subscribe('bob', { device });
    network.answers.set(HOST, (response, pushed) =>
      answering(expired.isOf(pushed) ? 410 : 201)(response, pushed),
    );
    const sent = await send(network.url, 'bob', 'one', { sender: 'alice' });
    await until(() => subscriptionsIn(server.database) === 2, 'the end of one');
    await dealtWith(server.database, 'bob', sent.id);
    expect([kept, later].map((device) => countOf(network, device))).toEqual([1, 1]);
  },
);

pushTest('the log shows no endpoint and no key, whatever happens', async () => {
  const network = await PushNetwork.start();
  const server = await network.startServer({ LOG_LEVEL: 'trace' });
  const devices = await Promise.all([0, 1, 2, 3].map(() => network.subscribe('bob')));
  const statuses = [201, 410, 400, 500];
  network.answers.set(HOST, (response, pushed) =>
    answering(statuses[devices.findIndex((device) => device.isOf(pushed))] ?? 0)(response, pushed),
  );
  await send(network.url, 'bob', 'one', { sender: 'alice' });
  await until(() => countOf(network, devices[3] as PushDevice) === 2, 'two tries');
  const elsewhere = new PushDevice('nowhere.below.example.org');
  await network.subscribe('bob', { device: elsewhere });
  await send(network.url, 'bob', 'two', { sender: 'alice' });
  await until(() => server.stderr.includes('cannot be reached'), 'a host that is not there');
  const { stderr, stdout } = await server.stop();
  expect(linesOf(server).length).toBeGreaterThan(2);
  for (const { endpoint, subscription } of [...devices, elsewhere]) {
    for (const secret of [new URL(endpoint).pathname.slice(-12), ...Object.values(subscription.keys)]) {
      expect(stderr + stdout).not.toContain(secret);
    }
  }
});
