import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type { Browser, BrowserContext } from 'playwright-core';
import { type BasePathProxy, startSite } from '../support/base-path-proxy.ts';
import { describeInBrowser, launchBrowser, inWholeBrowser } from '../support/browser.ts';
import { ChatPage } from '../support/chat-page.ts';
import { PushBrowser, SENDS_NOTHING } from '../support/push-browser.ts';
import { cleanUp, Server } from '../support/server.ts';

describeInBrowser('two services of one site', () => {
  let browser: Browser;
  let context: BrowserContext;
  let site: BasePathProxy;
  beforeAll(async () => {
    const [a, b, root] = await Promise.all([0, 1, 2].map(() => Server.start({ env: SENDS_NOTHING })));
    site = await startSite({ '/a': a?.url ?? '', '/b': b?.url ?? '', '': root?.url ?? '' });
    browser = await launchBrowser();
  });
  beforeEach(async () => {
    context = await browser.newContext();
  });
  afterEach(() => context.close());
  afterAll(async () => {
    await (browser as Browser | undefined)?.close();
    (site as BasePathProxy | undefined)?.close();
    await cleanUp();
  });

  test('two services of one site keep names and rooms apart, even in one window', async () => {
    const page = await ChatPage.open(context, `${site.url}a/`, 'ann');
    await page.turnTo('room-of-a');
    await page.send('here');
    await page.isIn('stored', 'here');
    await page.page.goto(`${site.url}b/`);
    await page.page.getByLabel('Your name').fill('ben');
    await page.page.getByLabel('Your name').press('Enter');
    await page.live();
    expect(await page.page.getByText('Signed in as ben').count()).toBe(1);
    expect(await page.page.getByText('room-of-a').count()).toBe(0);
    await page.page.goto(`${site.url}a/`);
    await page.live();
    await page.page.getByText('room-of-a').first().waitFor();
    expect(await page.page.getByText('Signed in as ann').count()).toBe(1);
  });

  test('two services of one site share no name of a stored value, a lock or a channel', async () => {
    await context.addInitScript(`{
      globalThis.channels = [];
      const Channel = BroadcastChannel;
      globalThis.BroadcastChannel = class extends Channel {
        constructor(name) { super(name); channels.push(name); }
      };
    }`);
    const names: string[][] = [];
    for (const path of ['a', 'b']) {
      const page = await ChatPage.open(context, `${site.url}${path}/`, 'cid');
      await page.turnTo('room-of-both');
      await page.send('here');
      await page.isIn('stored', 'here');
      const used = await page.page.evaluate<string[]>(`navigator.locks.query().then(({ held }) => [
        ...held.map(({ name }) => name), ...channels, ...Object.keys(localStorage), ...Object.keys(sessionStorage)])`);
      names.push(used.filter((name) => !names.flat().includes(name)));
    }
    const [a = [], b = []] = names;
    expect(a.filter((name) => !name.startsWith(`tidings:${site.url}a/:`))).toEqual([]);
    expect(b.filter((name) => !name.startsWith(`tidings:${site.url}b/:`))).toEqual([]);
    expect([a.length, b.length].every((length) => length > 4)).toBe(true);
  });

  test('two services of one site have their own notifications, even if one is above the other', () =>
    inWholeBrowser(async (whole) => {
      const context = await whole.newContext();
      const origin = site.url.slice(0, -1);
      const push = await PushBrowser.prepare(context, origin);
      await context.grantPermissions(['notifications'], { origin });
      const above = await ChatPage.open(context, origin, 'eve');
      await above.page.getByRole('button', { name: 'Notifications' }).click();
      const isOn = above.page.getByRole('button', { name: 'Notifications', pressed: true });
      await isOn.waitFor();
      const endpoint = await push.endpoint(above.page);
      const below = await ChatPage.open(context, `${site.url}a/`, 'fay');
      await below.page.getByRole('button', { name: 'Notifications', pressed: false }).waitFor();
      // By now it has checked what somebody else had turned on.
      await below.page.evaluate(
        `navigator.locks.request('tidings:${site.url}a/:chat:notifications', () => undefined)`,
      );
      expect(await push.endpoint(above.page)).toBe(endpoint);
      await above.page.reload();
      await isOn.waitFor();
    }));

  test('two services of one site take what an earlier version stored for both once: the one that is opened first has it', async () => {
    const page = new ChatPage(await context.newPage());
    await page.page.goto(`${site.url}a/icons/icon-192.png`);
    await page.page.evaluate(`localStorage.setItem('tidings:chat:name', 'dan'),
      localStorage.setItem('tidings:chat:rooms:dan', '{"room-old":0}')`);
    await page.page.goto(`${site.url}a/`);
    await page.live();
    await page.page.getByText('room-old').first().waitFor();
    expect(
      await page.page.evaluate("Object.keys(localStorage).filter((name) => name.startsWith('tidings:chat'))"),
    ).toEqual([]);
    await page.page.goto(`${site.url}b/`);
    await page.page.getByLabel('Your name').waitFor();
  });
});
