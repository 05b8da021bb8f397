import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import type { Browser } from 'playwright-core';
import { publish } from '../support/api.ts';
import { describeInBrowser, launchBrowser } from '../support/browser.ts';
import { ChatPage } from '../support/chat-page.ts';
import { Gate } from '../support/gate.ts';
import { cleanUp, Server } from '../support/server.ts';
import { SECRET, secondsFromNow, tokenFor } from '../support/tokens.ts';
import { until } from '../support/until.ts';

describeInBrowser('who one is', () => {
  let browser: Browser;
  let open: Server;
  let closed: Server;
  beforeAll(async () => {
    [browser, open, closed] = await Promise.all([
      launchBrowser(),
      Server.start(),
      Server.start({ env: { AUTH_SECRET: SECRET } }),
    ]);
  });
  afterEach(async () => {
    for (const context of browser.contexts()) await context.close();
  });
  afterAll(async () => {
    await (browser as Browser | undefined)?.close();
    await cleanUp();
  });

  const withToken = async (token: string): Promise<ChatPage> =>
    ChatPage.openWithToken(await browser.newContext(), closed.url, token);

  const sendWithToken = async (sender: string, recipient: string, content: string): Promise<void> => {
    const token = await tokenFor(sender, { sendTo: ['*'] });
    const answer = await publish(closed.url, { recipient, content }, { Authorization: `Bearer ${token}` });
    expect(answer.status).toBe(201);
  };

  /** Gives a new token to the window that asks for one. */
  const renewIn = async (windows: readonly ChatPage[], token: string): Promise<void> => {
    const asking = async (): Promise<ChatPage | undefined> => {
      for (const one of windows) if (await one.page.getByRole('dialog').isVisible()) return one;
      return undefined;
    };
    await until(async () => (await asking()) !== undefined, 'a window that asks for a token');
    const { page } = (await asking()) as ChatPage;
    await page.getByLabel('Token', { exact: true }).fill(token);
    await page.getByRole('button', { name: 'Continue' }).click();
    await until(async () => (await asking()) === undefined, 'no window that asks for a token');
  };

  test('a person without a key is a name, kept over a reload and for new windows, until they sign out', async () => {
    const context = await browser.newContext();
    const alice = await ChatPage.open(context, open.url, 'alice', { peer: 'bob' });
    await alice.page.reload();
    await alice.live();
    const second = await context.newPage();
    await second.goto(open.url);
    await second.getByText('Signed in as alice').waitFor();
    await second.getByRole('button', { name: 'Sign out' }).click();
    await second.getByLabel('Your name').fill('bob');
    await second.getByLabel('Your name').press('Enter');
    await second.getByText('Signed in as bob').waitFor();
    expect(new URL(second.url()).hash).toBe('');
    // The first window keeps its name: two people can try the page in one browser.
    await alice.page.reload();
    await alice.page.getByText('Signed in as alice').waitFor();
    expect(alice.errors).toEqual([]);
  });

  test('a person with an invalid name is told why', async () => {
    const page = await (await browser.newContext()).newPage();
    await page.goto(open.url);
    await page.getByLabel('Your name').fill('$root');
    await page.getByLabel('Your name').press('Enter');
    await page.getByText(/cannot begin with/).waitFor();
    await page.getByLabel('Your name').fill('root');
    await page.getByLabel('Your name').press('Enter');
    await page.getByText('Signed in as root').waitFor();
  });

  test.each(['$root', 'room-101', ''])(
    'a person with a link that has the invalid name "%s" is told why',
    async (name) => {
      const page = await (await browser.newContext()).newPage();
      const chat = new ChatPage(page);
      // A person who was here before under another name must not write under that name now.
      await page.goto(`${open.url}?as=zoe`);
      await page.getByText('Signed in as zoe').waitFor();
      await page.goto(`${open.url}?as=${encodeURIComponent(name)}`);
      await page.getByLabel('Your name').waitFor();
      await page.getByText(/^A name /).waitFor();
      await page.getByLabel('Your name').fill('root');
      await page.getByLabel('Your name').press('Enter');
      await page.getByText('Signed in as root').waitFor();
      expect(chat.errors).toEqual([]);
    },
  );

  test('a person with a link to an impossible conversation is told so', async () => {
    const page = await (await browser.newContext()).newPage();
    await page.goto(`${open.url}?as=zoe#%24root`);
    await page.getByText(/does not lead to a conversation/).waitFor();
    await page.evaluate(`document.getElementById('notice-dismiss').click(); location.hash = '#%FF'`);
    await page.getByText(/does not lead to a conversation/).waitFor();
  });

  test('a bad token of a service with a key is refused, and a good one is kept until the person signs out', async () => {
    const page = await (await browser.newContext()).newPage();
    const alice = new ChatPage(page);
    await page.goto(closed.url);
    const field = page.getByLabel('Your token');
    await field.fill('not a token');
    await page.getByRole('button', { name: 'Sign in' }).click();
    await until(async () => (await page.locator('#sign-in-answer').innerText()) !== '');
    expect(await field.getAttribute('type')).toBe('password');
    await field.fill(await tokenFor('alice'));
    await field.press('Enter');
    await alice.live();
    await page.reload();
    await alice.live();
    expect(await page.locator('#me').innerText()).toBe('alice');
    await page.getByRole('button', { name: 'Sign out' }).click();
    await field.waitFor();
    await page.reload();
    await field.waitFor();
    expect(await page.context().cookies()).toEqual([]);
    expect(alice.errors).toEqual([]);
  });

  test('a person who has signed out stays signed out, though the service could not be told at first', async () => {
    const hal = await withToken(await tokenFor('hal'));
    let asked = 0;
    await hal.page.route('**/session', async (route) => {
      if (route.request().method() === 'DELETE' && asked++ === 0) await route.abort();
      else await route.continue();
    });
    await hal.page.getByRole('button', { name: 'Sign out' }).click();
    await hal.page.getByLabel('Your token').waitFor();
    expect(await hal.page.context().cookies()).toEqual([]);
    await hal.page.getByLabel('Your token').fill(await tokenFor('hal'));
    await hal.page.getByLabel('Your token').press('Enter');
    await hal.live();
    await hal.page.reload();
    await hal.live();
  });

  test('a person can sign in again, though the session before could not be ended', async () => {
    const context = await browser.newContext();
    const other = await context.newPage();
    await other.goto(closed.url);
    await other.getByLabel('Your token').waitFor();
    const ida = await ChatPage.openWithToken(context, closed.url, await tokenFor('ida'));
    await context.route('**/session', async (route) => {
      if (route.request().method() === 'DELETE') await route.abort();
      else await route.continue();
    });
    await ida.page.getByRole('button', { name: 'Sign out' }).click();
    await ida.page.getByText('This page keeps trying').waitFor();
    await ida.page.close();
    await other.getByLabel('Your token').fill(await tokenFor('ida'));
    await other.getByLabel('Your token').press('Enter');
    await other.getByText('Signed in as ida').waitFor();
    await context.unroute('**/session');
    await (await ChatPage.open(context, closed.url, 'ida')).live();
    expect(await context.cookies()).toHaveLength(1);
  });

  test('a person who has signed out stays signed out, whatever is going on with notifications', async () => {
    const jon = await withToken(await tokenFor('jon'));
    const other = await jon.page.context().newPage();
    await other.goto(closed.url);
    const name = `tidings:${closed.url}/:chat:notifications`;
    await other.evaluate(
      `void navigator.locks.request(${JSON.stringify(name)}, () => new Promise(() => {}))`,
    );
    await jon.page.getByRole('button', { name: 'Sign out' }).click();
    await jon.page.getByLabel('Your token').waitFor();
    expect(await jon.page.context().cookies()).toEqual([]);
  });

  test('a message that the token may not send is shown as not sent, with the reason', async () => {
    const alice = await withToken(await tokenFor('alice', { sendTo: ['bob'] }));
    await alice.turnTo('carol');
    await alice.send('hello carol');
    await alice.isIn('refused', 'hello carol');
    expect(await alice.own('hello carol').innerText()).toContain('you may not write to');
    await alice.turnTo('bob');
    await alice.send('hello bob');
    await alice.isIn('stored', 'hello bob');
    await alice.turnTo('carol');
    await alice.own('hello carol').getByRole('button', { name: 'Discard' }).click();
    await alice.shows();
    await alice.live();
  });

  test('a message that is refused after the stream was opened again for a room is shown as not sent, too', async () => {
    const alice = await withToken(await tokenFor('alice', { sendTo: ['bob'], read: ['alice', 'room-b'] }));
    await alice.turnTo('carol');
    const gate = new Gate();
    await alice.page.route('**/messages', async (route) => {
      await gate.passed;
      await route.continue();
    });
    const asked = alice.page.waitForRequest('**/messages');
    await alice.send('hello carol');
    await asked;
    await alice.turnTo('room-b');
    gate.open();
    await alice.turnTo('carol');
    await alice.isIn('refused', 'hello carol');
  });

  test('a person whose token may not see who is online, or read a room, can do everything else', async () => {
    const alice = await withToken(await tokenFor('dora', { sendTo: ['*'], read: ['dora', 'room-open'] }));
    await alice.turnTo('bob');
    await sendWithToken('bob', 'dora', 'hi alice');
    await alice.shows('hi alice');
    await alice.page.getByLabel('Search, or a name').fill('room-secret');
    await alice.page.getByLabel('Search, or a name').press('Enter');
    await alice.page.getByText(/not allowed to read .*room-secret/).waitFor();
    await alice.turnTo('room-open');
    await alice.send('anybody?');
    await alice.isIn('stored', 'anybody?');
    await sendWithToken('bob', 'dora', 'still live');
    await alice.row('bob').getByText('still live').waitFor();
    await alice.page.reload();
    await alice.live();
    // The list is drawn a moment later.
    await until(async () => (await alice.names()).length === 2);
    expect(new Set(await alice.names())).toEqual(new Set(['bob', 'room-open']));
  });

  test('the page shows who is online though the service could not say at first who may be seen', async () => {
    const bob = await withToken(await tokenFor('bob', { sendTo: ['*'] }));
    await sendWithToken('bob', 'vera', 'hi');
    const context = await browser.newContext();
    let asked = 0;
    await context.route('**/presence?*', async (route) => {
      if (asked++ === 0) await route.fulfill({ status: 503 });
      else await route.continue();
    });
    const token = await tokenFor('vera', { presence: ['*'] });
    const vera = await ChatPage.openWithToken(context, closed.url, token);
    await vera.row('bob').locator('.dot').waitFor();
    expect(bob.errors).toEqual([]);
  });

  test('a room that may not be read any more is left, and the rest works', async () => {
    const alice = await withToken(await tokenFor('emil', { read: ['emil', 'room-a'] }));
    await alice.turnTo('room-a');
    const value = await tokenFor('emil');
    const cookie = { name: 'tidings', value, url: closed.url, httpOnly: true, sameSite: 'Strict' } as const;
    await alice.page.context().addCookies([cookie]);
    await alice.page.goto(`${closed.url}/`);
    await alice.live();
    await alice.page.getByText(/not allowed to read .*room-a/).waitFor();
    // The room may have been drawn while the service was asked.
    await until(async () => (await alice.names()).length === 0);
  });

  test('a session that ends is asked for again, once, in any window, and everything continues', async () => {
    const context = await browser.newContext();
    const grants = { sendTo: ['*'], presence: ['*'] };
    const alice = await ChatPage.openWithToken(context, closed.url, await tokenFor('fred', grants));
    await alice.turnTo('bob');
    await alice.changeSession(await tokenFor('fred', grants, { exp: secondsFromNow(5) }));
    const dialog = alice.page.getByRole('dialog', { name: 'Your session has expired' });
    await dialog.waitFor();
    await sendWithToken('bob', 'fred', 'meanwhile');
    // There is nothing behind it without a session.
    for (let presses = 0; presses < 3; presses++) await alice.page.keyboard.press('Escape');
    await dialog.waitFor();
    await alice.page.getByLabel('Token', { exact: true }).fill('nonsense');
    await alice.page.getByRole('button', { name: 'Continue' }).click();
    await until(async () => (await alice.page.locator('#renew-answer').innerText()) !== '');
    await alice.page.getByLabel('Token', { exact: true }).fill(await tokenFor('fred', grants));
    await alice.page.getByRole('button', { name: 'Continue' }).click();
    await dialog.waitFor({ state: 'hidden' });
    await alice.live();
    await alice.shows('meanwhile');
    await alice.send('thanks');
    await alice.isIn('stored', 'thanks');
    expect(alice.errors).toEqual([]);
  });

  test.each([
    ['', 200],
    [', though the service cannot say so at first', 503],
  ])(
    'a session that allows less than the one before continues with that, in all windows%s',
    async (_, status) => {
      const name = `kay-${status}`;
      const context = await browser.newContext();
      const grants = { sendTo: ['*'], read: [name, 'room-a'], presence: ['*'] };
      const kay = await ChatPage.openWithToken(context, closed.url, await tokenFor(name, grants));
      const other = await ChatPage.open(context, closed.url, name);
      await kay.turnTo('room-a');
      await other.row('room-a').waitFor();
      for (const page of [kay, other]) {
        await page.turnTo('bob');
        await page.watches('bob');
      }
      await kay.changeSession(await tokenFor(name, grants, { exp: secondsFromNow(5) }));
      // Either window may have the stream.
      await other.connectAnew();
      let asked = 0;
      await context.route('**/conversations?*room=room-a', async (route) => {
        if (asked++ === 0 && status !== 200) await route.fulfill({ status });
        else await route.continue();
      });
      await renewIn([kay, other], await tokenFor(name));
      for (const page of [kay, other]) {
        await page.row('room-a').waitFor({ state: 'detached' });
        await page.live();
      }
      await sendWithToken('bob', name, 'still told');
      for (const page of [kay, other]) await page.shows('still told');
    },
  );

  test('a new session that one window was asked for shows in all windows who is online', async () => {
    const context = await browser.newContext();
    const grants = { presence: ['*'] };
    await sendWithToken('ben', 'liz', 'hi');
    const liz = await ChatPage.openWithToken(context, closed.url, await tokenFor('liz', grants));
    const other = await ChatPage.open(context, closed.url, 'liz');
    for (const page of [liz, other]) await page.row('ben').waitFor();
    await liz.changeSession(await tokenFor('liz', grants, { exp: secondsFromNow(5) }));
    await renewIn([liz, other], await tokenFor('liz', grants));
    for (const page of [liz, other]) await page.live();
    const ben = await withToken(await tokenFor('ben'));
    for (const page of [liz, other]) await page.row('ben').locator('.dot').waitFor();
    expect(ben.errors).toEqual([]);
  });

  test('a person can sign out when the session has ended', async () => {
    const alice = await withToken(await tokenFor('alice'));
    await alice.changeSession(await tokenFor('alice', {}, { exp: secondsFromNow(5) }));
    await alice.page.getByRole('dialog').getByRole('button', { name: 'Sign out' }).click();
    await alice.page.getByLabel('Your token').waitFor();
  });

  test('a session that ends continues when the person signs in again in another window', async () => {
    const context = await browser.newContext();
    const gus = await ChatPage.openWithToken(context, closed.url, await tokenFor('gus'));
    await gus.changeSession(await tokenFor('gus', {}, { exp: secondsFromNow(5) }));
    const dialog = gus.page.getByRole('dialog');
    await dialog.waitFor();
    let asked = 0;
    await gus.page.route('**/session', async (route) => {
      if (asked++ === 0) await route.fulfill({ status: 503 });
      else await route.continue();
    });
    const other = await ChatPage.openWithToken(context, closed.url, await tokenFor('gus'));
    await dialog.waitFor({ state: 'hidden' });
    for (const page of [gus, other]) await page.live();
  });

  test('a button that is pressed twice signs in once', async () => {
    const ian = new ChatPage(await (await browser.newContext()).newPage());
    const gate = new Gate();
    let asked = 0;
    await ian.page.route('**/session', async (route) => {
      const isPut = route.request().method() === 'PUT';
      if (isPut && ++asked === 2) gate.open();
      if (isPut) await gate.passed;
      await route.continue();
    });
    await ian.page.goto(closed.url);
    await ian.page.getByLabel('Your token').fill(await tokenFor('ian'));
    for (let presses = 0; presses < 2; presses++) await ian.page.getByLabel('Your token').press('Enter');
    await ian.live();
    await ian.turnTo('carol');
    const lists = ian.requests.filter((one) => one.url().includes('/conversations?'));
    expect(lists).toHaveLength(1);
  });

  test('the page waits for a service that is not there yet', async () => {
    const server = await Server.start();
    const page = await (await browser.newContext()).newPage();
    let isUp = false;
    await page.route('**/session', (route) => (isUp ? route.continue() : route.abort()));
    await page.goto(server.url);
    await page.getByText('The service cannot be reached. This page keeps trying.').waitFor();
    isUp = true;
    await page.getByLabel('Your name').waitFor();
    expect(await page.locator('#wait').isVisible()).toBe(false);
  });
});
