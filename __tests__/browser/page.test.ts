import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type { Browser, BrowserContext } from 'playwright-core';
import { get, send } from '../support/api.ts';
import { startBasePathProxy } from '../support/base-path-proxy.ts';
import { describeInBrowser, launchBrowser } from '../support/browser.ts';
import { cleanUp, Server } from '../support/server.ts';
import { StreamPage } from '../support/stream-page.ts';
import { until } from '../support/until.ts';

/** In the page, where it is the browser's own. */
declare const KeyboardEvent: new (type: string, options: { key: string; cancelable: boolean }) => Event;

type Presence = Record<string, { readonly devices: number }>;

describeInBrowser('the page', () => {
  let browser: Browser;
  let context: BrowserContext;
  let server: Server;
  beforeAll(async () => {
    [browser, server] = await Promise.all([launchBrowser(), Server.start()]);
  });
  // A browser has six connections to a server at the most, and every open stream takes one of its context's.
  beforeEach(async () => {
    context = await browser.newContext();
  });
  afterEach(() => context.close());
  afterAll(async () => {
    await (browser as Browser | undefined)?.close();
    await cleanUp();
  });

  test('a message sent from the form of one page is in two pages of its recipient and in one of its sender, with no error and no request elsewhere', async () => {
    const pages = await Promise.all(
      ['bob', 'bob', 'alice'].map((name) => StreamPage.openLive(context, server.url, name)),
    );
    const alice = pages[2] as StreamPage;
    await alice.send('bob', 'hi\nfrom a page');
    for (const page of pages) {
      expect(await page.waitForMessage('hi\nfrom a page')).toHaveLength(1);
      const row = page.page.getByRole('log').locator('li.message');
      expect(await row.locator('.route').innerText()).toBe('alice → bob');
      expect(await row.locator('.type').innerText()).toBe('message');
    }
    const [id] = await alice.ids('message');
    await alice.page.getByText(`201: on disk as message ${id}`).waitFor();
    expect(await alice.page.getByLabel('Content').inputValue()).toBe('');
    for (const { errors, requests } of pages) {
      expect(errors).toEqual([]);
      expect(requests.filter((request) => new URL(request.url()).origin !== server.url)).toEqual([]);
      expect(requests.map((request) => new URL(request.url()).pathname)).toContain('/stream');
    }
  });

  test('a content that looks like HTML is shown as text', async () => {
    const html = '<img src=x onerror=alert(1)><script>alert(2)</script>';
    const page = await StreamPage.openLive(context, server.url, 'carol');
    let alerts = 0;
    page.page.on('dialog', (dialog) => {
      alerts++;
      void dialog.dismiss();
    });
    await send(server.url, 'carol', html, { sender: '<b>mallory</b>' });
    await send(server.url, 'carol', { html });
    await send(server.url, 'carol', 'last');
    expect(await page.waitForMessage('last')).toEqual([html, JSON.stringify({ html }), 'last']);
    expect(await page.page.getByRole('log').locator('img, script, b').count()).toBe(0);
    expect(alerts).toBe(0);
    expect(page.errors).toEqual([]);
  });

  test('a page begins with the newest messages, and an address in its URL is followed at once', async () => {
    const sent = [await send(server.url, 'dora', 'one'), await send(server.url, 'dora', 'two')];
    const page = await context.newPage();
    await page.goto(`${server.url}/#recipient=dora`);
    const rows = page.getByRole('log').locator('li.message');
    await until(async () => (await rows.count()) === 2);
    expect(await rows.locator('.id').allTextContents()).toEqual(sent.map(({ id }) => String(id)));
    expect(await page.getByLabel('I am').inputValue()).toBe('dora');
    expect(await page.title()).toBe('dora · Tidings');
  });

  test('following another address leaves the stream of the one before', async () => {
    const page = await StreamPage.openLive(context, server.url, 'emil');
    await send(server.url, 'emil', 'for emil');
    await page.waitForMessage('for emil');
    await page.page.getByLabel('I am').fill('fred');
    await page.page.getByLabel('I am').press('Enter');
    await until(async () => {
      const { body } = (await get(server.url, '/presence?recipient=emil')) as { body: Presence };
      return body['emil']?.devices === 0;
    });
    await page.waitForState('Live');
    await send(server.url, 'emil', 'too late');
    await send(server.url, 'fred', 'for fred');
    expect(await page.waitForMessage('for fred')).toEqual(['for fred']);
  });

  test('Enter pressed twice in haste sends one message', async () => {
    const page = await StreamPage.openLive(context, server.url, 'greta');
    await page.page.getByLabel('To', { exact: true }).fill('greta');
    await page.page.getByLabel('Content').fill('once');
    await page.page.getByLabel('Content').evaluate((field: EventTarget) => {
      for (let times = 0; times < 2; times++) {
        field.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', cancelable: true }));
      }
    });
    await page.page.getByText('200: on disk as message').waitFor();
    await send(server.url, 'greta', 'last');
    expect(await page.waitForMessage('last')).toEqual(['once', 'last']);
  });

  test('a refused message is answered with the detail of the problem, and the text stays', async () => {
    const page = await StreamPage.openLive(context, server.url, 'gina');
    await page.send('$system', 'keep me');
    await page.page.getByText(/^400: .*recipient.*\$/).waitFor();
    expect(await page.page.getByLabel('Content').inputValue()).toBe('keep me');
  });

  test('a stream that is refused is gone, with the detail of the problem', async () => {
    const page = await StreamPage.open(context, server.url, '$system');
    await page.waitForState('Gone');
    await until(async () => /recipient.*\$/.test(await page.page.getByRole('status').first().innerText()));
    expect(await page.page.getByRole('button', { name: 'Connect again' }).isVisible()).toBe(true);
  });

  test('the line for a terminal is one quoted word, whatever the address', async () => {
    const page = await StreamPage.openLive(context, server.url, "o'brien & $(co)");
    expect(await page.page.locator('#curl').innerText()).toBe(
      `curl -N '${server.url}/stream?recipient=o%27brien+%26+%24%28co%29'`,
    );
  });

  test('it works under a base path, with a strict Content-Security-Policy, and its icon is there', async () => {
    const proxy = await startBasePathProxy(server.url, '/push/tidings');
    try {
      const page = await StreamPage.openLive(context, proxy.url, 'hans');
      await page.send('hans', 'through a proxy');
      await page.waitForMessage('through a proxy');
      const icon = await page.page.locator('link[rel=icon]').getAttribute('href');
      expect((await fetch(new URL(String(icon), proxy.url))).status).toBe(200);
      expect(page.errors).toEqual([]);
      for (const request of page.requests) {
        expect(request.url()).toMatch(proxy.url);
        expect((await request.response())?.status()).toBeLessThan(300);
      }
    } finally {
      proxy.close();
    }
  });
});
