import { expect, test } from '@jest/globals';
import type { BrowserContext, Page } from 'playwright-core';
import { get, send } from '../support/api.ts';
import { describeInBrowser, launchChromium } from '../support/browser.ts';
import { ChatPage } from '../support/chat-page.ts';
import { MeddlingProxy } from '../support/meddling-proxy.ts';
import { PushBrowser, PushWorker, SENDS_NOTHING } from '../support/push-browser.ts';
import { until } from '../support/until.ts';
import { withFreshPages, withServer } from '../support/with-browser.ts';

/** A push service that withdraws the permission from those who show nothing. */
const APPLE = 'web.push.apple.com';

describeInBrowser('the service worker', () => {
  const browser = withFreshPages(launchChromium);
  const server = withServer({ env: SENDS_NOTHING });

  /** Opens somebody's page with notifications turned on, and its worker, which takes the page for hidden. */
  async function turnedOn(
    name: string,
    host?: string,
  ): Promise<{ context: BrowserContext; push: PushBrowser; chat: ChatPage; worker: PushWorker }> {
    const context = await browser.newContext();
    const push = await PushBrowser.prepare(context, server.url, host);
    await context.grantPermissions(['notifications'], { origin: server.url });
    const chat = await ChatPage.open(context, server.url, name);
    await chat.page.getByRole('button', { name: 'Notifications' }).click();
    await chat.page.getByRole('button', { name: 'Notifications', pressed: true }).waitFor();
    const worker = await PushWorker.lookInto(context, server.url);
    await worker.setVisibility('hidden');
    return { context, push, chat, worker };
  }

  const message = (id: number, fields: Record<string, unknown> = {}): Record<string, unknown> => ({
    type: 'message',
    recipient: 'alice',
    sender: 'bob',
    peer: 'bob',
    id,
    cursor: `${id}-k3f9ab`,
    createdAt: '2026-11-21T01:23:45.678Z',
    unread: 1,
    content: 'hi',
    ...fields,
  });
  const read = (through: number, fields: Record<string, unknown> = {}): Record<string, unknown> => ({
    type: 'read',
    recipient: 'alice',
    peer: 'bob',
    through,
    unread: 0,
    ...fields,
  });

  test('the worker shows a message: whose it is, what it says, and how many are unread', async () => {
    const { worker } = await turnedOn('alice');
    expect(await worker.push(message(1, { unread: 3 }))).toBe('done');
    expect(await worker.shown()).toEqual([{ title: 'bob', body: 'hi' }]);
    expect(
      await worker.run(
        `registration.getNotifications().then(([{ tag, data, renotify, timestamp }]) => ({ tag, data, renotify, timestamp }))`,
      ),
    ).toEqual({
      tag: JSON.stringify([`${server.url}/`, 'alice', 'bob']),
      data: { peer: 'bob', id: 1 },
      renotify: true,
      timestamp: Date.parse('2026-11-21T01:23:45.678Z'),
    });
    expect(await worker.run('badges')).toEqual([3]);
  });

  test('the worker shows a message with the icon of the page, which its policy lets it load', async () => {
    const { worker } = await turnedOn('alice');
    await worker.push(message(1));
    // A notification is shown once its icon was requested.
    expect(
      await worker.run(
        `registration.getNotifications().then(([{ icon }]) => performance.getEntriesByName(icon).map((entry) => [entry.name, entry.responseStatus]))`,
      ),
    ).toEqual([[`${server.url}/icons/icon-192.png`, 200]]);
  });

  test.each([
    ['has no badge', 'delete navigator.setAppBadge; delete WorkerNavigator.prototype.setAppBadge'],
    ['does not give one', 'navigator.setAppBadge = () => Promise.reject(new Error())'],
  ])('the worker shows a message in a browser that %s', async (_what, script) => {
    const { worker } = await turnedOn('alice');
    await worker.run(`{ ${script} }`);
    expect(await worker.push(message(1))).toBe('done');
    expect(await worker.shown()).toEqual([{ title: 'bob', body: 'hi' }]);
  });

  test.each<[string, Record<string, unknown>, string, string]>([
    ['of a room with its sender', { recipient: 'room-lunch', peer: 'room-lunch' }, 'room-lunch', 'bob: hi'],
    ['that is an object as JSON', { content: { a: [1, 'x'] } }, 'bob', '{"a":[1,"x"]}'],
    ['that is nothing as JSON', { content: null }, 'bob', 'null'],
    ['of an own type by its text', { messageType: 'order', content: 'on its way' }, 'bob', 'on its way'],
    [
      'of an own type without a text by its type',
      { messageType: 'order', content: { n: 1 } },
      'bob',
      'order: {"n":1}',
    ],
    ['that was shortened with a sign of it', { content: 'a long st', shortened: true }, 'bob', 'a long st…'],
    [
      'that is HTML as text',
      { content: '<img src=x onerror=alert(1)>' },
      'bob',
      '<img src=x onerror=alert(1)>',
    ],
  ])('the worker shows a message %s', async (_what, fields, title, body) => {
    const { worker } = await turnedOn('alice');
    await worker.push(message(1, fields));
    expect(await worker.shown()).toEqual([{ title, body }]);
  });

  test('the worker shows no message that has expired, and closes one that has with the next push', async () => {
    const { worker } = await turnedOn('alice');
    const inSeconds = (seconds: number): string => new Date(Date.now() + seconds * 1000).toISOString();
    await worker.push(message(1, { expiresAt: inSeconds(-1) }));
    expect(await worker.shown()).toEqual([]);
    await worker.push(message(2, { expiresAt: inSeconds(1), content: 'soon gone' }));
    await worker.push(
      message(3, { sender: 'carol', peer: 'carol', expiresAt: inSeconds(60), content: 'stays' }),
    );
    expect(await worker.shown()).toContainEqual({ title: 'bob', body: 'soon gone' });
    await until(async () => {
      await worker.push(read(0, { peer: 'dora' }));
      return (await worker.shown()).length === 1;
    }, 'the expired one to go');
    expect(await worker.shown()).toEqual([{ title: 'carol', body: 'stays' }]);
  });

  test('the notification of a message that expires is closed by a page that is open', async () => {
    const { worker, chat } = await turnedOn('ella');
    const { id, expiresAt } = await send(server.url, 'ella', 'soon gone', { sender: 'bob', ttl: 2 });
    await chat.unread('bob', 1);
    await worker.push(message(id, { recipient: 'ella', expiresAt, content: 'soon gone' }));
    await until(async () => (await worker.shown()).length === 0, 'nothing to be shown');
  });

  test('the worker shows one notification of a conversation: its newest message, in whatever order they come', async () => {
    const { worker } = await turnedOn('alice');
    await worker.push(message(2, { content: 'two' }));
    await worker.push(message(5, { content: 'five' }));
    await worker.push(message(3, { content: 'three' }));
    await worker.push(message(4, { sender: 'carol', peer: 'carol', content: 'four' }));
    expect(await worker.shown()).toEqual([
      { title: 'bob', body: 'five' },
      { title: 'carol', body: 'four' },
    ]);
  });

  test('the worker shows nothing while a window of the page is seen, whatever else the site shows', async () => {
    const { worker, chat } = await turnedOn('alice');
    await worker.setVisibility('visible');
    expect(await worker.push(message(1))).toBe('done');
    expect(await worker.shown()).toEqual([]);
    expect(await worker.run('badges')).toEqual([1]);
    // Another tab of the site stays open. It is visible too, but not a window of the page.
    await chat.page.close();
    await worker.alone();
    await worker.push(message(2));
    expect(await worker.shown()).toEqual([{ title: 'bob', body: 'hi' }]);
  });

  test('the worker knows the page by its path, with whatever conversation is open', async () => {
    const { worker, chat } = await turnedOn('alice');
    await worker.setVisibility('visible');
    for (const path of ['/index.html#bob', '/?x=1#bob', '/#bob']) {
      await chat.page.goto(server.url + path);
      await chat.live();
      await worker.push(message(1));
      expect({ path, shown: await worker.shown() }).toEqual({ path, shown: [] });
    }
  });

  test('the worker shows something at each push if a browser wants that, and closes it when it was read', async () => {
    const { worker, push } = await turnedOn('alice', APPLE);
    // The worker asks its own push manager, which is replaced as that of the page is.
    await worker.run(
      `void (PushManager.prototype.getSubscription = async () => ({ endpoint: ${JSON.stringify(push.devices[0]?.endpoint)} }))`,
    );
    await worker.run(`{
      self.calls = [];
      const { showNotification } = ServiceWorkerRegistration.prototype;
      ServiceWorkerRegistration.prototype.showNotification = function (title, options) {
        calls.push([title, options.silent === true]);
        return showNotification.call(this, title, options);
      };
    }`);
    await worker.setVisibility('visible');
    await worker.push(message(1));
    expect(await worker.shown()).toEqual([{ title: 'bob', body: 'hi' }]);
    await worker.push(read(1));
    expect(await worker.shown()).toEqual([]);
    expect(await worker.run('calls')).toEqual([
      ['bob', false],
      ['bob', true],
    ]);
    // A notification that stays is something shown, and newer than what was read.
    await worker.push(message(5));
    await worker.push(read(4));
    expect(await worker.shown()).toEqual([{ title: 'bob', body: 'hi' }]);
    expect(await worker.run('calls.length')).toBe(3);
  });

  test('the worker closes what was read elsewhere, and nothing else', async () => {
    const { worker } = await turnedOn('alice');
    await worker.push(message(4));
    await worker.push(message(2, { sender: 'carol', peer: 'carol', content: 'hello' }));
    await worker.push(read(3, { unread: 2 }));
    expect(await worker.shown()).toHaveLength(2);
    await worker.push(read(4, { unread: 1 }));
    expect(await worker.shown()).toEqual([{ title: 'carol', body: 'hello' }]);
    await worker.push(read(4));
    expect(await worker.shown()).toHaveLength(1);
    expect(await worker.run('badges')).toEqual([1, 1, 2, 1, 0]);
  });

  test('the worker takes pushes one after the other: what was read at once is not shown after that', async () => {
    const { worker } = await turnedOn('alice');
    // The message takes long, and the marker does not.
    await worker.run(`{
      const { matchAll } = Clients.prototype;
      Clients.prototype.matchAll = async function (...given) {
        await new Promise((resolve) => setTimeout(resolve, 200));
        return matchAll.apply(this, given);
      };
    }`);
    const pushes = [message(1), read(1)].map(
      (one) => `new PushEvent('push', { data: ${JSON.stringify(JSON.stringify(one))} })`,
    );
    await worker.run(`{ ${pushes.map((one) => `self.dispatchEvent(${one});`).join(' ')} }`);
    await worker.settled(1);
    expect(await worker.shown()).toEqual([]);
  });

  test('the worker gives way to a newer one at once, though a page of the older one is open', async () => {
    const proxy = await MeddlingProxy.listen(server.port);
    try {
      const context = await browser.newContext();
      await PushBrowser.prepare(context, proxy.origin);
      await context.grantPermissions(['notifications'], { origin: proxy.origin });
      const alice = await ChatPage.open(context, proxy.origin, 'alice');
      await alice.page.getByRole('button', { name: 'Notifications' }).click();
      await alice.page.getByRole('button', { name: 'Notifications', pressed: true }).waitFor();
      await alice.page.reload();
      await until(() => alice.page.evaluate('navigator.serviceWorker.controller !== null'));
      const body = `${await (await fetch(`${server.url}/sw.js`)).text()}\nself.isNewer = true;`;
      const headers = { 'Content-Type': 'text/javascript' };
      proxy.answer = ({ url }) => (url === '/sw.js' ? { status: 200, headers, body } : undefined);
      await alice.page.reload();
      await until(async () => {
        const workers = context
          .serviceWorkers()
          .map((one) =>
            one
              .evaluate<boolean>(`self.isNewer === true && serviceWorker.state === 'activated'`)
              .catch(() => false),
          );
        return (await Promise.all(workers)).includes(true);
      }, 'the newer worker to be at work');
    } finally {
      await proxy.close();
    }
  });

  test('the worker does nothing with what it does not know, and goes on', async () => {
    const { worker } = await turnedOn('alice');
    const unknown = [
      'no JSON',
      '',
      'null',
      '7',
      '[]',
      '{}',
      { ...message(1), type: 'other' },
      message(-1),
      message(1.5),
      message(1, { peer: undefined }),
      message(1, { recipient: 7 }),
      message(1, { sender: null }),
      message(1, { content: undefined }),
      message(1, { unread: 'many' }),
      message(1, { messageType: 7 }),
      read(1, { through: 'all' }),
    ];
    for (const payload of unknown) {
      expect({ payload, end: await worker.push(payload) }).toEqual({ payload, end: 'done' });
      expect({ payload, shown: await worker.shown() }).toEqual({ payload, shown: [] });
    }
    await worker.push(message(1, { content: 'known' }));
    expect(await worker.shown()).toEqual([{ title: 'bob', body: 'known' }]);
    expect(await worker.run('badges')).toEqual([1]);
  });

  test('a click leads an open window to the conversation, and gives it the focus', async () => {
    const { worker, chat } = await turnedOn('alice');
    const { id } = await send(server.url, 'alice', 'look here', { sender: 'bob & co/1' });
    await worker.push(message(id, { sender: 'bob & co/1', peer: 'bob & co/1', content: 'look here' }));
    expect(await worker.click()).toBe('done');
    await chat.page.getByRole('heading', { name: 'bob & co/1', exact: true }).waitFor();
    await chat.log.getByText('look here').waitFor();
    expect(await worker.run('focused')).toEqual([`${server.url}/`]);
    expect(await worker.run('opened')).toEqual([]);
    expect(await worker.shown()).toEqual([]);
  });

  test('a click opens a window with the conversation if none is open', async () => {
    const { worker, chat, context } = await turnedOn('alice');
    await worker.push(message(1, { sender: '//evil.example/#x', peer: '//evil.example/#x' }));
    await chat.page.close();
    await worker.alone();
    expect(await worker.click()).toBe('done');
    const opened = `${server.url}/#${encodeURIComponent('//evil.example/#x')}`;
    expect(await worker.run('opened')).toEqual([opened]);
    expect(await worker.run('focused')).toEqual([]);
    const page = await context.newPage();
    await page.goto(opened);
    await page.getByRole('heading', { name: '//evil.example/#x', exact: true }).waitFor();
  });

  /** Returns how many devices the service has for somebody. */
  async function devicesOf(name: string): Promise<string[]> {
    const answer = await get(server.url, `/push-subscriptions?recipient=${name}`);
    return (answer.body as { subscriptions: { endpoint: string }[] }).subscriptions.map(({ endpoint }) =>
      endpoint.slice(-6),
    );
  }

  test('the worker subscribes again if the browser has given up the subscription, for all inboxes, and the page goes on', async () => {
    const { worker, chat, push } = await turnedOn('nina');
    const { length } = await worker.run<string[]>('settled');
    await chat.turnTo('room-nina');
    // By now the page has said that there is a room.
    await worker.settled(length);
    const [, next] = push.devices;
    expect(await worker.loseSubscription(next)).toBe('done');
    const { publicKey } = (await get(server.url, '/push-key')).body as { publicKey: string };
    expect(await worker.run('options')).toEqual({ userVisibleOnly: true, applicationServerKey: publicKey });
    for (const inbox of ['nina', 'room-nina']) {
      expect(await devicesOf(inbox)).toEqual([next?.endpoint.slice(-6)]);
    }
    // If the browser gives the same subscription again, it is not removed: the worker knows which one it has.
    await worker.loseSubscription(next);
    expect(await devicesOf('nina')).toEqual([next?.endpoint.slice(-6)]);
    await push.stand(chat.page, 1);
    await chat.page.reload();
    await chat.live();
    await chat.page.getByRole('button', { name: 'Notifications', pressed: true }).waitFor();
    await until(async () => (await push.keptEndpoint(chat.page)) === next?.endpoint);
    expect(await devicesOf('nina')).toEqual([next?.endpoint.slice(-6)]);
  });

  test('the worker does not subscribe again after notifications were turned off', async () => {
    const { worker, chat, push } = await turnedOn('paula');
    const before = await worker.run<string[]>('settled');
    await chat.page.getByRole('button', { name: 'Notifications' }).click();
    await chat.page.getByRole('button', { name: 'Notifications', pressed: false }).waitFor();
    await worker.settled(before.length);
    expect(await worker.requestsAtLoss(push.devices[1])).toEqual([]);
  });

  test('the worker tells the service that the subscription has ended if it may have no other', async () => {
    const { worker, chat, push, context } = await turnedOn('olga');
    expect(await devicesOf('olga')).toHaveLength(1);
    await chat.page.close();
    await push.setPermission(context.pages()[0] as Page, 'denied');
    await until(() => worker.run<boolean>(`Notification.permission === 'denied'`));
    expect(await worker.loseSubscription(push.devices[1])).toBe('done');
    expect(await devicesOf('olga')).toEqual([]);
    expect(await worker.requestsAtLoss(push.devices[1])).toEqual([]);
  });
});
