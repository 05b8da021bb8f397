import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import type { Browser, BrowserContext, Locator, Page, Route } from 'playwright-core';
import { get, request, send } from '../support/api.ts';
import { startBasePathProxy } from '../support/base-path-proxy.ts';
import { describeInBrowser, launchChromium } from '../support/browser.ts';
import { ChatPage } from '../support/chat-page.ts';
import { readNumber } from '../support/file.ts';
import { Gate } from '../support/gate.ts';
import { PushBrowser, PushWorker, SENDS_NOTHING } from '../support/push-browser.ts';
import { cleanUp, Server } from '../support/server.ts';
import { bearer, SECRET, tokenFor } from '../support/tokens.ts';
import { until } from '../support/until.ts';

describeInBrowser('the bell', () => {
  let browser: Browser;
  let server: Server;
  let closed: Server;
  beforeAll(async () => {
    [browser, server, closed] = await Promise.all([
      launchChromium(),
      Server.start({ env: SENDS_NOTHING }),
      Server.start({ env: { ...SENDS_NOTHING, AUTH_SECRET: SECRET } }),
    ]);
  });
  afterEach(async () => {
    for (const context of browser.contexts()) await context.close();
  });
  afterAll(async () => {
    await (browser as Browser | undefined)?.close();
    await cleanUp();
  });

  /** Opens a browser in which notifications are allowed as soon as the page asks. */
  async function newBrowser(
    origin = server.url,
    host?: string,
  ): Promise<{ context: BrowserContext; push: PushBrowser }> {
    const context = await browser.newContext();
    const push = await PushBrowser.prepare(context, origin, host);
    await context.grantPermissions(['notifications'], { origin });
    return { context, push };
  }

  const bellOf = ({ page }: ChatPage, pressed?: boolean): Locator =>
    page.getByRole('button', { name: 'Notifications', ...(pressed === undefined ? {} : { pressed }) });

  async function turnOn(chat: ChatPage): Promise<void> {
    await bellOf(chat, false).click();
    await bellOf(chat, true).waitFor();
  }

  /** Returns the ends of the endpoints that the service has for an inbox: it tells nothing else of them. */
  async function endpointsOf(inbox: string, origin = server.url, headers = {}): Promise<string[]> {
    const answer = await request(`${origin}/push-subscriptions?recipient=${inbox}`, { headers });
    const { subscriptions } = answer.body as { subscriptions: { endpoint: string }[] };
    return subscriptions.map(({ endpoint }) => endpoint.slice(-6));
  }
  const has = (inbox: string, ...ends: (string | undefined)[]): Promise<void> =>
    until(
      async () => JSON.stringify(await endpointsOf(inbox)) === JSON.stringify(ends),
      `the devices of ${inbox} to be ${ends.join()}`,
    );
  const endOf = (push: PushBrowser, index: number): string | undefined =>
    push.devices[index]?.endpoint.slice(-6);

  test('the bell turns notifications on for this device, over reloads, and off', async () => {
    const { context, push } = await newBrowser();
    const alice = await ChatPage.open(context, server.url, 'alice');
    expect(await endpointsOf('alice')).toEqual([]);
    await turnOn(alice);
    expect(await endpointsOf('alice')).toEqual([endOf(push, 0)]);
    await alice.page.reload();
    await alice.live();
    await bellOf(alice, true).waitFor();
    expect(await endpointsOf('alice')).toEqual([endOf(push, 0)]);
    await bellOf(alice, true).press('Enter');
    await bellOf(alice, false).waitFor();
    await has('alice');
    expect(await push.endpoint(alice.page)).toBeNull();
    await alice.page.reload();
    await alice.live();
    await bellOf(alice, false).waitFor();
    expect(await endpointsOf('alice')).toEqual([]);
    expect(alice.errors).toEqual([]);
  });

  test('notifications are on for the rooms that a person joins, until they leave, with their own read markers', async () => {
    const { context, push } = await newBrowser();
    const bob = await ChatPage.open(context, server.url, 'bob', { peer: 'room-before' });
    await turnOn(bob);
    await has('room-before', endOf(push, 0));
    await bob.turnTo('room-after');
    await has('room-after', endOf(push, 0));
    const answer = await get(server.url, '/push-subscriptions?recipient=room-after');
    expect(answer.body).toMatchObject({ subscriptions: [{ recipient: 'room-after', reader: 'bob' }] });
    const idOf = (recipient: string): number =>
      readNumber(server.database, 'SELECT id FROM pushSubscriptions WHERE recipient = ?', recipient);
    const before = idOf('bob');
    await bob.page.getByRole('button', { name: 'Leave' }).click();
    await has('room-after');
    await has('room-before', endOf(push, 0));
    await has('bob', endOf(push, 0));
    // Notifications for the other inboxes are still waiting, because those were not subscribed again.
    expect(idOf('bob')).toBe(before);
  });

  test('notifications are on for a room that is joined while they are being turned on', async () => {
    const { context, push } = await newBrowser();
    const bea = await ChatPage.open(context, server.url, 'bea', { peer: 'room-one' });
    let joined: Promise<void> | undefined;
    await bea.page.route('**/push-subscriptions', async (route) => {
      const answer = await route.fetch();
      // By then the rooms to subscribe to have been looked up.
      const { recipient } = route.request().postDataJSON() as { recipient?: string };
      if (recipient === 'room-one' && joined === undefined) await (joined = bea.turnTo('room-two'));
      await route.fulfill({ response: answer });
    });
    await turnOn(bea);
    await has('room-two', endOf(push, 0));
    await has('room-one', endOf(push, 0));
    // The service may have it before the page has the answer.
    await bea.page.unrouteAll({ behavior: 'wait' });
  });

  test('the bell cannot be pressed again while it is busy', async () => {
    const { context, push } = await newBrowser();
    const una = await ChatPage.open(context, server.url, 'una');
    const held: Route[] = [];
    let asked = 0;
    await una.page.route('**/push-subscriptions', async (route) => {
      if (++asked === 1) held.push(route);
      else await route.continue();
    });
    await bellOf(una).click();
    await until(() => held.length === 1, 'the service to be asked');
    await bellOf(una).click();
    expect(await bellOf(una).getAttribute('aria-busy')).toBe('true');
    await held[0]?.continue();
    await bellOf(una, true).waitFor();
    await until(async () => (await bellOf(una).getAttribute('aria-busy')) === 'false');
    await has('una', endOf(push, 0));
    // A press after that is a new one: its request comes after any that the other presses would have caused.
    await bellOf(una).click();
    await has('una');
    expect(asked).toBe(2);
  });

  test('the page tells the service its subscription again when it is opened, since the service may have forgotten it', async () => {
    const { context, push } = await newBrowser();
    const carol = await ChatPage.open(context, server.url, 'carol');
    await turnOn(carol);
    await request(`${server.url}/push-subscriptions`, {
      method: 'DELETE',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ endpoint: push.devices[0]?.endpoint }),
    });
    expect(await endpointsOf('carol')).toEqual([]);
    await carol.page.reload();
    await has('carol', endOf(push, 0));
  });

  test('the page takes another subscription if the service has other keys, or the browser has lost it', async () => {
    const { context, push } = await newBrowser();
    const dora = await ChatPage.open(context, server.url, 'dora');
    await turnOn(dora);
    await push.stand(dora.page, 0, Buffer.alloc(65, 4).toString('base64url'));
    await dora.page.reload();
    await has('dora', endOf(push, 1));
    // The service knows of it before the page does.
    await until(async () => (await push.keptEndpoint(dora.page)) === push.devices[1]?.endpoint);
    await dora.page.evaluate(`localStorage.removeItem('push:standing')`);
    await dora.page.reload();
    await has('dora', endOf(push, 2));
    await bellOf(dora, true).waitFor();
  });

  test('the page says what to do if the browser blocks notifications, and they work when they are allowed', async () => {
    const { context, push } = await newBrowser();
    const emil = await ChatPage.open(context, server.url, 'emil');
    await push.setPermission(emil.page, 'denied');
    await until(async () => (await bellOf(emil).getAttribute('title'))?.includes('blocked') === true);
    await bellOf(emil, false).click();
    await emil.page.getByRole('alert').getByText('Your browser blocks').waitFor();
    expect(await endpointsOf('emil')).toEqual([]);
    await push.setPermission(emil.page, 'granted');
    await turnOn(emil);
    expect(await emil.page.getByRole('alert').count()).toBe(0);
    await has('emil', endOf(push, 0));
    expect(emil.errors).toEqual([]);
  });

  test('the page says that nothing was turned on if the person does not answer the browser', async () => {
    const { context, push } = await newBrowser();
    await context.addInitScript(`Notification.requestPermission = async () => 'default'`);
    const fred = await ChatPage.open(context, server.url, 'fred');
    await push.setPermission(fred.page, 'prompt');
    await bellOf(fred, false).click();
    await fred.page.getByRole('alert').getByText('Press the bell again').waitFor();
    await fred.page.getByRole('button', { name: 'Got it' }).click();
    expect(await fred.page.getByRole('alert').count()).toBe(0);
    await bellOf(fred, false).waitFor();
  });

  test.each(['denied', 'prompt'] as const)(
    'notifications are off in all windows, and at the service, when the permission is taken back (%s)',
    async (setting) => {
      const { context, push } = await newBrowser();
      const name = `gina-${setting}`;
      const first = await ChatPage.open(context, server.url, name);
      const second = await ChatPage.open(context, server.url, name);
      await turnOn(first);
      await push.setPermission(first.page, setting);
      for (const one of [first, second]) await bellOf(one, false).waitFor();
      await has(name);
      // When they are allowed again, they stay off until somebody turns them on.
      await push.setPermission(first.page, 'granted');
      await second.page.reload();
      await second.live();
      await bellOf(second, false).waitFor();
      expect(await endpointsOf(name)).toEqual([]);
    },
  );

  test('notifications are off, and at the service too, if the permission was taken back while no page was open', async () => {
    const { context, push } = await newBrowser();
    const hans = await ChatPage.open(context, server.url, 'hans');
    await turnOn(hans);
    await hans.page.goto('about:blank');
    await push.setPermission(hans.page, 'denied');
    await hans.page.goto(server.url);
    await hans.live();
    await bellOf(hans, false).waitFor();
    await has('hans');
  });

  test('the bell is the same in two windows', async () => {
    const { context, push } = await newBrowser();
    const first = await ChatPage.open(context, server.url, 'ida');
    const second = await ChatPage.open(context, server.url, 'ida');
    await turnOn(first);
    await bellOf(second, true).waitFor();
    await bellOf(second, true).click();
    await bellOf(first, false).waitFor();
    await has('ida');
    const windows = [first, second];
    const idle = (one: ChatPage): Promise<void> =>
      until(async () => (await bellOf(one).getAttribute('aria-busy')) === 'false');
    // The others know before the window that has turned them off.
    await idle(second);
    await Promise.all(windows.map(({ page }) => page.evaluate(`document.getElementById('bell').click()`)));
    for (const one of windows) await idle(one);
    // The window that was done first hears of the other's change a moment later.
    let pressed: (string | null)[] = [];
    await until(async () => {
      pressed = await Promise.all(windows.map((one) => bellOf(one).getAttribute('aria-pressed')));
      return pressed[0] === pressed[1];
    }, 'both bells to say the same');
    const isOn = pressed[0] === 'true';
    expect(await endpointsOf('ida')).toHaveLength(isOn ? 1 : 0);
    // The other window sees a stored value a moment later.
    for (const { page } of windows)
      await until(
        async () => ((await push.endpoint(page)) !== null) === isOn,
        'the subscription to be so too',
      );
  });

  test('notifications are off if one window turns them off while another is still telling the service about them', async () => {
    const { context, push } = await newBrowser();
    const first = await ChatPage.open(context, server.url, 'jan');
    const second = await ChatPage.open(context, server.url, 'jan');
    await turnOn(first);
    await bellOf(second, true).waitFor();
    let goOn = (): void => undefined;
    const held = new Promise<void>((resolve) => (goOn = resolve));
    await second.page.route('**/push-subscriptions', async (route) => {
      await held;
      await route.continue();
    });
    const asked = second.page.waitForRequest('**/push-subscriptions');
    await second.turnTo('room-jan');
    await asked;
    await bellOf(first, true).click();
    await until(() =>
      first.page.evaluate(`navigator.locks.query().then(({ held, pending }) =>
      pending.some(({ name }) => name.endsWith(':chat:notifications')) ||
      !held.some(({ name }) => name.endsWith(':chat:notifications')))`),
    );
    goOn();
    for (const one of [first, second]) await bellOf(one, false).waitFor();
    await until(async () => (await push.endpoint(first.page)) === null);
    for (const inbox of ['jan', 'room-jan']) await has(inbox);
    await second.page.reload();
    await second.live();
    await bellOf(second, false).waitFor();
  });

  test('notifications belong to one person, though another has a window in the same browser, until that one comes back', async () => {
    const context = await browser.newContext();
    const push = await PushBrowser.prepare(context, server.url);
    const zoe = await ChatPage.open(context, server.url, 'zoe');
    // A window that is open keeps its name; the next one asks.
    await zoe.page.evaluate(`localStorage.removeItem('tidings:' + location.origin + '/:chat:name')`);
    const yan = await ChatPage.open(context, server.url, 'yan');
    await zoe.page.evaluate(`{
      globalThis.changes = [];
      const { request } = LockManager.prototype;
      LockManager.prototype.request = function (name, ...given) {
        if (name.endsWith(':chat:notifications')) changes.push('takes away');
        return request.call(this, name, ...given);
      };
      navigator.permissions.query({ name: 'notifications' }).then((permission) => {
        permission.onchange = () => changes.push(permission.state);
      });
    }`);
    await push.setPermission(yan.page, 'granted');
    await until(async () => (await zoe.page.evaluate<string[]>('changes')).includes('granted'));
    expect(await zoe.page.evaluate('changes')).toEqual(['granted']);
    await turnOn(yan);
    await has('yan', endOf(push, 0));
    await bellOf(zoe, false).waitFor();
    await yan.page.reload();
    await yan.live();
    await bellOf(yan, true).waitFor();
    await has('yan', endOf(push, 0));
    await zoe.page.reload();
    await bellOf(yan, false).waitFor();
    await has('yan');
    await turnOn(zoe);
    await has('zoe', endOf(push, 1));
    // None of her subscriptions is removed under another's name.
    await yan.page.getByRole('button', { name: 'Sign out' }).click();
    await yan.page.getByLabel('Your name').waitFor();
    await has('zoe', endOf(push, 1));
  });

  const session = async (page: Page, token: string): Promise<void> => {
    const status = await page.evaluate(
      `fetch('session', { method: 'PUT', headers: { Authorization: 'Bearer ${token}' } }).then((answer) => answer.status)`,
    );
    expect(status).toBe(200);
  };

  test('signing out removes the notifications that a person had here', async () => {
    const { context, push } = await newBrowser(closed.url);
    const token = await tokenFor('alice');
    const alice = await ChatPage.openWithToken(context, closed.url, token);
    await turnOn(alice);
    expect(await endpointsOf('alice', closed.url, bearer(token))).toEqual([endOf(push, 0)]);
    const worker = await PushWorker.lookInto(context, closed.url);
    await worker.setVisibility('hidden');
    await worker.push(pushed('alice', 'bob', 1));
    expect(await worker.shown()).toHaveLength(1);
    await alice.page.getByRole('button', { name: 'Sign out' }).click();
    await alice.page.getByLabel('Your token').waitFor();
    expect(await endpointsOf('alice', closed.url, bearer(token))).toEqual([]);
    expect(await push.endpoint(alice.page)).toBeNull();
    // The page has closed it; the browser tells the worker.
    await until(async () => (await worker.shown()).length === 0);
  });

  test('signing in removes the notifications that another person had here, though they did not sign out', async () => {
    const { context, push } = await newBrowser(closed.url);
    const alice = await ChatPage.openWithToken(context, closed.url, await tokenFor('alice'));
    await turnOn(alice);
    const worker = await PushWorker.lookInto(context, closed.url);
    await worker.setVisibility('hidden');
    await worker.push(pushed('alice', 'bob', 1));
    await session(alice.page, await tokenFor('bob'));
    await alice.page.reload();
    await alice.page.getByText('Signed in as bob').waitFor();
    // Bob may not tell the service. The endpoint has ended, and its push service tells the service so.
    await until(async () => (await push.endpoint(alice.page)) === null);
    await until(async () => (await worker.shown()).length === 0);
    const bob = alice;
    await turnOn(bob);
    expect(await endpointsOf('bob', closed.url, bearer(await tokenFor('bob')))).toEqual([endOf(push, 1)]);
    await alice.page.reload();
    await alice.live();
    await bellOf(bob, true).waitFor();
  });

  test('the worker subscribes again with the session of the person', async () => {
    const { context, push } = await newBrowser(closed.url);
    const token = await tokenFor('xenia');
    const xenia = await ChatPage.openWithToken(context, closed.url, token);
    await turnOn(xenia);
    const worker = await PushWorker.lookInto(context, closed.url);
    expect(await worker.loseSubscription(push.devices[1])).toBe('done');
    expect(await endpointsOf('xenia', closed.url, bearer(token))).toEqual([endOf(push, 1)]);
  });

  const pushed = (recipient: string, peer: string, id: number): Record<string, unknown> => ({
    type: 'message',
    recipient,
    sender: peer,
    peer,
    id,
    createdAt: '2026-11-21T01:23:45.678Z',
    unread: 1,
    content: 'hi',
  });

  test('messages that are read in a window lose their notification, and others keep theirs', async () => {
    const { context } = await newBrowser();
    const nina = await ChatPage.open(context, server.url, 'nina', { peer: 'otto' });
    await turnOn(nina);
    const worker = await PushWorker.lookInto(context, server.url);
    await worker.setVisibility('hidden');
    await nina.setHidden(true);
    await nina.page.evaluate(
      'globalThis.counts = []; navigator.setAppBadge = async (count) => void counts.push(count)',
    );
    const { id } = await send(server.url, 'nina', 'hi', { sender: 'otto' });
    await nina.unread('otto', 1);
    await worker.push(pushed('nina', 'otto', id));
    await worker.push(pushed('nina', 'paul', id + 1));
    expect(await worker.shown()).toHaveLength(2);
    await nina.setHidden(false);
    await until(async () => (await worker.shown()).length === 1);
    expect(await worker.shown()).toEqual([{ title: 'paul', body: 'hi' }]);
    // Drawn a moment later: if the next message came in between, nothing would change.
    const counted = (...counts: number[]): Promise<void> =>
      until(
        async () => JSON.stringify(await nina.page.evaluate('counts')) === JSON.stringify(counts),
        `the badges ${counts.join()}`,
      );
    await counted(1, 0);
    // A message newer than the read one stays.
    await nina.setHidden(true);
    const seen = await send(server.url, 'nina', 'one', { sender: 'otto' });
    await nina.shows('hi', 'one');
    await counted(1, 0, 1);
    await worker.push(pushed('nina', 'otto', seen.id + 100));
    await nina.setHidden(false);
    await nina.unread('otto', 0);
    await nina.page.evaluate(
      'navigator.serviceWorker.ready.then((worker) => worker.getNotifications()).then(() => undefined)',
    );
    expect(await worker.shown()).toHaveLength(2);
    await counted(1, 0, 1, 0);
    await nina.setHidden(true);
    await send(server.url, 'nina', 'two', { sender: 'otto' });
    await counted(1, 0, 1, 0, 1);
    await bellOf(nina, true).click();
    await bellOf(nina, false).waitFor();
    await send(server.url, 'nina', 'three', { sender: 'otto' });
    await nina.unread('otto', 2);
    expect(await nina.page.evaluate('counts')).toEqual([1, 0, 1, 0, 1, 0]);
  });

  test('the page says why the service does not accept the push service, and leaves nothing behind', async () => {
    const { context, push } = await newBrowser(server.url, 'push.example.org');
    const rosa = await ChatPage.open(context, server.url, 'rosa');
    await bellOf(rosa, false).click();
    await rosa.page
      .getByRole('alert')
      .getByText(/cannot be turned on: .*PUSH_HOSTS/)
      .waitFor();
    await bellOf(rosa, false).waitFor();
    expect(await push.endpoint(rosa.page)).toBeNull();
  });

  test('notifications are off if the service does not accept the push service any more', async () => {
    const own = await Server.start({ env: SENDS_NOTHING });
    const { context, push } = await newBrowser(own.url);
    const rosa = await ChatPage.open(context, own.url, 'rosa');
    await turnOn(rosa);
    await own.stop();
    const { port, database } = own;
    await Server.start({ port, database, env: { ...SENDS_NOTHING, PUSH_HOSTS: 'push.example.org' } });
    await rosa.page.reload();
    await rosa.live();
    await bellOf(rosa, false).waitFor();
    expect(await push.endpoint(rosa.page)).toBeNull();
  });

  test('notifications stay on if the service cannot be asked when the page is opened', async () => {
    const own = await Server.start({ env: SENDS_NOTHING });
    const { context, push } = await newBrowser(own.url);
    const quin = await ChatPage.open(context, own.url, 'quin');
    await turnOn(quin);
    await quin.page.route('**/push-subscriptions', (route) => route.fulfill({ status: 503 }));
    const asked = quin.page.waitForResponse('**/push-subscriptions');
    await quin.page.reload();
    await quin.live();
    expect((await asked).status()).toBe(503);
    await quin.page.unroute('**/push-subscriptions');
    await quin.turnTo('room-quin');
    await until(async () => (await endpointsOf('room-quin', own.url)).length === 1);
    await bellOf(quin, true).waitFor();
    expect(await endpointsOf('quin', own.url)).toEqual([endOf(push, 0)]);
  });

  test('notifications leave out a room that may not be read any more', async () => {
    const { context, push } = await newBrowser(closed.url);
    const token = await tokenFor('will', { read: ['will', 'room-a', 'room-b'] });
    const will = await ChatPage.openWithToken(context, closed.url, token);
    for (const room of ['room-a', 'room-b']) await will.turnTo(room);
    await session(will.page, await tokenFor('will', { read: ['will', 'room-b'] }));
    await turnOn(will);
    const headers = bearer(token);
    expect(await endpointsOf('room-a', closed.url, headers)).toEqual([]);
    for (const inbox of ['will', 'room-b'])
      expect(await endpointsOf(inbox, closed.url, headers)).toEqual([endOf(push, 0)]);
  });

  test('the page says that a push service cannot be reached, or does not answer', async () => {
    const { context } = await newBrowser();
    const sven = await ChatPage.open(context, server.url, 'sven');
    await sven.page.evaluate(
      `void (PushManager.prototype.subscribe = () => Promise.reject(new DOMException('no', 'AbortError')))`,
    );
    const said = sven.page.getByRole('alert').getByText('this browser cannot reach its push service');
    await bellOf(sven, false).click();
    await said.waitFor();
    await sven.page.getByRole('button', { name: 'Got it' }).click();
    await sven.page.clock.install();
    await sven.page.evaluate(
      `void (PushManager.prototype.subscribe = () => { globalThis.asked = true; return new Promise(() => {}) })`,
    );
    await bellOf(sven, false).click();
    await until(() => sven.page.evaluate('globalThis.asked === true'));
    expect(await said.count()).toBe(0);
    await sven.page.clock.fastForward(20_000);
    await said.waitFor();
  });

  test('the page says that the service cannot be reached to turn on notifications', async () => {
    const own = await Server.start({ env: SENDS_NOTHING });
    const { context, push } = await newBrowser(own.url);
    const tina = await ChatPage.open(context, own.url, 'tina');
    await turnOn(tina);
    await bellOf(tina, true).click();
    await bellOf(tina, false).waitFor();
    await own.kill();
    await bellOf(tina, false).click();
    await tina.page.getByRole('alert').getByText('the service cannot be reached').waitFor();
    expect(await push.endpoint(tina.page)).toBeNull();
  });

  test.each(['Navigator.prototype.serviceWorker', 'PushManager', 'Notification'])(
    'the bell is missing in a browser without %s, and the page works as usual',
    async (what) => {
      const context = await browser.newContext();
      await context.addInitScript(`delete globalThis.${what}`);
      const uwe = await ChatPage.open(context, server.url, 'uwe');
      expect(await bellOf(uwe).count()).toBe(0);
      await uwe.turnTo('uwe');
      await uwe.send(`without ${what}`);
      await uwe.isIn('stored', `without ${what}`);
      await uwe.page.getByRole('button', { name: 'Sign out' }).click();
      await uwe.page.getByLabel('Your name').waitFor();
      expect(uwe.errors).toEqual([]);
    },
  );

  test('the page says that there can be no notifications if the browser stores nothing for the site, and works as usual', async () => {
    const { context } = await newBrowser();
    await context.addInitScript(`
      const refuse = () => Promise.reject(new DOMException('no', 'SecurityError'));
      Object.assign(ServiceWorkerContainer.prototype, { register: refuse, getRegistration: refuse });
      Permissions.prototype.query = refuse;
    `);
    const yves = await ChatPage.open(context, server.url, 'yves');
    await bellOf(yves, false).click();
    await yves.page.getByRole('alert').getByText('this browser cannot reach its push service').waitFor();
    await yves.turnTo('yves');
    await yves.send('as ever');
    await yves.isIn('stored', 'as ever');
    expect(yves.errors).toEqual([]);
  });

  test('notifications are off if a person signs out while they are being turned on', async () => {
    const { context, push } = await newBrowser();
    const xena = await ChatPage.open(context, server.url, 'xena');
    const gate = new Gate();
    let asked = false;
    await xena.page.route('**/push-subscriptions', async (route) => {
      const answer = await route.fetch();
      asked = true;
      await gate.passed;
      await route.fulfill({ response: answer });
    });
    await bellOf(xena, false).click();
    await until(() => asked);
    await xena.page.getByRole('button', { name: 'Sign out' }).click();
    gate.open();
    await xena.page.getByLabel('Your name').waitFor();
    expect(await endpointsOf('xena')).toEqual([]);
    expect(await push.endpoint(xena.page)).toBeNull();
  });

  test('a person can sign out whatever becomes of their notifications', async () => {
    const { context } = await newBrowser();
    const zara = await ChatPage.open(context, server.url, 'zara');
    await turnOn(zara);
    await zara.page.evaluate(
      `void (PushManager.prototype.getSubscription = () => Promise.reject(new DOMException('no', 'AbortError')))`,
    );
    await zara.page.getByRole('button', { name: 'Sign out' }).click();
    await zara.page.getByLabel('Your name').waitFor();
  });

  test('notifications work under a base path: the worker, its scope and its requests', async () => {
    const proxy = await startBasePathProxy(server.url, '/push/tidings');
    try {
      const { context, push } = await newBrowser(new URL(proxy.url).origin);
      const vera = await ChatPage.open(context, proxy.url, 'vera');
      await turnOn(vera);
      await has('vera', endOf(push, 0));
      await until(() => context.serviceWorkers().length > 0, 'a service worker');
      expect(context.serviceWorkers().map((worker) => worker.url())).toEqual([`${proxy.url}sw.js`]);
      expect(await vera.page.evaluate('navigator.serviceWorker.ready.then(({ scope }) => scope)')).toBe(
        proxy.url,
      );
      const worker = await PushWorker.lookInto(context, proxy.url.slice(0, -1));
      expect(await worker.loseSubscription(push.devices[1])).toBe('done');
      await has('vera', endOf(push, 1));
      await vera.page.goto('about:blank');
      await worker.alone();
      await worker.setVisibility('hidden');
      await worker.push(pushed('vera', 'wim', 1));
      await worker.click();
      expect(await worker.run('opened')).toEqual([`${proxy.url}#wim`]);
      expect(vera.errors).toEqual([]);
    } finally {
      proxy.close();
    }
  });

  test('notifications work in another page as docs/client.md says', async () => {
    const docs = readFileSync(join(import.meta.dirname, '../../docs/client.md'), 'utf8');
    const [, code = ''] = /^## Notifications$.*?^```js\n(.*?)^```$/ms.exec(docs) ?? [];
    const own = await Server.start({ env: SENDS_NOTHING });
    const { context, push } = await newBrowser(own.url);
    const page = await context.newPage();
    await page.goto(`${own.url}/healthz`);
    await page.evaluate(`(async () => { ${code} })()`);
    const inboxes = ['alice', 'room-lunch'];
    for (const inbox of inboxes) expect(await endpointsOf(inbox, own.url)).toEqual([endOf(push, 0)]);
    const worker = await PushWorker.lookInto(context, own.url);
    await worker.push(pushed('alice', 'bob', 1));
    expect(await worker.shown()).toEqual([{ title: 'bob', body: 'hi' }]);
    expect(await worker.loseSubscription(push.devices[1])).toBe('done');
    for (const inbox of inboxes) expect(await endpointsOf(inbox, own.url)).toEqual([endOf(push, 1)]);
  });
});
