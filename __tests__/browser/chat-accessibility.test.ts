import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import axe from 'axe-core';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { publish, send } from '../support/api.ts';
import { describeInBrowser, launchBrowser, inWholeBrowser } from '../support/browser.ts';
import { ChatPage } from '../support/chat-page.ts';
import { PushBrowser, SENDS_NOTHING } from '../support/push-browser.ts';
import { cleanUp, Server } from '../support/server.ts';
import { SECRET, secondsFromNow, tokenFor } from '../support/tokens.ts';
import { until } from '../support/until.ts';

const DESKTOP = { viewport: { width: 1280, height: 800 } };
const PHONE = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true };

interface Finding {
  readonly id: string;
  readonly nodes: { html: string; failureSummary: string }[];
}

/**
 * Returns the findings of axe on a page. Evaluated like a debugger's code, since the page's policy lets no
 * other script in.
 */
async function findings(page: Page): Promise<string[]> {
  await page.evaluate(axe.source);
  const found = await page.evaluate<Finding[]>('axe.run(document).then(({ violations }) => violations)');
  return found.flatMap(({ id, nodes }) =>
    nodes.map(({ html, failureSummary }) => `${id}: ${html}\n${failureSummary}`),
  );
}

/** In light and in dark. */
async function expectNoFindings(page: Page, view: string): Promise<void> {
  for (const colorScheme of ['light', 'dark'] as const) {
    // Something that fades in has less contrast until it is there.
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    await page.evaluate(() => Promise.all(document.getAnimations().map(({ finished }) => finished)));
    expect({ view, colorScheme, found: await findings(page) }).toEqual({ view, colorScheme, found: [] });
  }
}

describeInBrowser('for everybody', () => {
  let browser: Browser;
  let server: Server;
  let closed: Server;
  beforeAll(async () => {
    [browser, server, closed] = await Promise.all([
      launchBrowser(),
      Server.start({ env: SENDS_NOTHING }),
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

  test.each<[string, BrowserContextOptions]>([
    ['a desktop', DESKTOP],
    ['a phone', PHONE],
  ])('axe finds no fault on any view of %s, in light and dark', async (what, options) => {
    const context = await browser.newContext(options);
    const alice = new ChatPage(await context.newPage());
    const { page } = alice;
    await page.goto(server.url);
    await page.getByLabel('Your name').waitFor();
    await expectNoFindings(page, 'sign in');
    await page.getByLabel('Your name').fill('alice');
    await page.getByLabel('Your name').press('Enter');
    await alice.live();
    if ((await alice.names()).length === 0) await expectNoFindings(page, 'empty list');
    const bob = await ChatPage.open(await browser.newContext(), server.url, 'bob', { peer: 'alice' });
    await bob.send('See https://example.com/');
    await send(server.url, 'alice', { a: [1, 'x'] }, { sender: 'bob' });
    await send(server.url, 'alice', 'x'.repeat(3000), { sender: 'carol' });
    await alice.row('bob').locator('.badge').waitFor();
    await alice.row('bob').locator('.dot').waitFor();
    await expectNoFindings(page, 'list');

    await page.goto(`${server.url}/#bob`);
    await alice.send(`stored from ${what}`);
    await alice.isIn('read', `stored from ${what}`);
    await page.getByLabel('Message', { exact: true }).fill('y'.repeat(50_000));
    await page.getByLabel('Message', { exact: true }).press('Enter');
    await alice.log.locator('.refused').first().waitFor();
    await bob.page.getByLabel('Message', { exact: true }).pressSequentially('t');
    await expectNoFindings(page, 'conversation');
    await page.goto(`${server.url}/#room-lunch`);
    await send(server.url, 'room-lunch', 'soup?', { sender: 'carol' });
    await alice.log.getByText('soup?').first().waitFor();
    await expectNoFindings(page, 'room');
    await page.getByRole('button', { name: 'Frames', exact: true }).click();
    await send(server.url, 'alice', 'a frame', { sender: 'dora' });
    await page.getByRole('region', { name: 'Frames of the stream' }).getByText('"a frame"').first().waitFor();
    await expectNoFindings(page, 'frames');
    await page.getByRole('button', { name: 'Close' }).click();
    expect(alice.errors).toEqual([]);
  });

  test.each<[string, BrowserContextOptions]>([
    ['a desktop', DESKTOP],
    ['a phone', PHONE],
  ])('axe finds no fault when a token is asked for, or asked for again, on %s', async (_what, options) => {
    const alice = new ChatPage(await (await browser.newContext(options)).newPage());
    const { page } = alice;
    await page.goto(closed.url);
    await page.getByLabel('Your token').fill('nonsense');
    await page.getByLabel('Your token').press('Enter');
    await until(async () => (await page.locator('#sign-in-answer').innerText()) !== '');
    await expectNoFindings(page, 'sign in with a token');
    await page.getByLabel('Your token').fill(await tokenFor('alice'));
    await page.getByLabel('Your token').press('Enter');
    await alice.live();
    await alice.changeSession(await tokenFor('alice', {}, { exp: secondsFromNow(5) }));
    await page.getByRole('dialog').waitFor();
    await expectNoFindings(page, 'renewal');
  });

  test('axe finds no fault on the banner of a gap, or of a service that is gone', async () => {
    const first = await Server.start();
    const bob = await ChatPage.open(await browser.newContext(DESKTOP), first.url, 'bob', { peer: 'alice' });
    await send(first.url, 'bob', 'lost', { sender: 'alice' });
    await bob.shows('lost');
    await first.kill();
    await bob.state('offline');
    await bob.send('waits');
    await bob.isIn('waiting', 'waits');
    await expectNoFindings(bob.page, 'offline');
    await Server.start({ port: first.port });
    await bob.connectAnew();
    await bob.page.getByRole('alert').waitFor();
    await expectNoFindings(bob.page, 'gap');
  });

  test.each<[string, BrowserContextOptions]>([
    ['a desktop', DESKTOP],
    ['a phone', PHONE],
  ])(
    'axe finds no fault when notifications are on or impossible on %s, and a keyboard is enough',
    async (_what, options) =>
      inWholeBrowser(async (whole) => {
        const context = await whole.newContext(options);
        const push = await PushBrowser.prepare(context, server.url);
        const kim = await ChatPage.open(context, server.url, 'kim', { peer: 'lou' });
        const bell = kim.page.getByRole('button', { name: 'Notifications' });
        await push.setPermission(kim.page, 'denied');
        await bell.focus();
        await kim.page.keyboard.press('Enter');
        await kim.page.getByRole('alert').getByText('Your browser blocks').waitFor();
        await expectNoFindings(kim.page, 'blocked');
        await push.setPermission(kim.page, 'granted');
        await kim.page.keyboard.press('Space');
        await kim.page.getByRole('button', { name: 'Notifications', pressed: true }).waitFor();
        await until(() => bell.evaluate((button: { ariaBusy: string }) => button.ariaBusy === 'false'));
        await expectNoFindings(kim.page, 'on');
        expect(kim.errors).toEqual([]);
      }),
  );

  test('the messages are a log named after the other person, and only new ones are read aloud', async () => {
    await publish(
      server.url,
      [1, 2, 3].map((content) => ({ sender: 'fred', recipient: 'emil', content: `old ${content}` })),
    );
    const emil = await ChatPage.open(await browser.newContext(), server.url, 'emil', { peer: 'fred' });
    await emil.page.getByRole('log', { name: 'fred' }).waitFor();
    await emil.log.getByText('old 3').waitFor();
    // The region is silent while history comes, and speaks again after it.
    await until(async () => (await emil.log.getAttribute('aria-live')) === 'polite');
    const live = await emil.log.evaluateHandle((log: { ariaLive: string }) => {
      const states: string[] = [];
      new MutationObserver(() => states.push(log.ariaLive)).observe(log, { childList: true, subtree: true });
      return states;
    });
    await emil.send('new');
    await emil.isIn('stored', 'new');
    expect(new Set(await live.jsonValue())).toEqual(new Set(['polite']));
    expect(await emil.own('new').count()).toBe(1);
  });

  test('nothing moves for people who want no motion, and something does for others', async () => {
    const moving = async (reducedMotion: 'reduce' | 'no-preference'): Promise<() => Promise<number>> => {
      const context = await browser.newContext({ reducedMotion });
      const gina = await ChatPage.open(context, server.url, 'gina', { peer: 'hans' });
      await until(async () => (await gina.log.getAttribute('aria-live')) === 'polite');
      const seen = await gina.page.evaluateHandle(() => {
        const events = new Set<unknown>();
        document.addEventListener('animationstart', (event) => events.add(event));
        return events;
      });
      await send(server.url, 'gina', reducedMotion, { sender: 'hans' });
      await gina.log.getByText(reducedMotion).waitFor();
      return () => seen.evaluate(({ size }) => size);
    };
    const still = await moving('reduce');
    const moves = await moving('no-preference');
    await until(async () => (await moves()) > 0, 'something to move');
    // By now the page has had both messages.
    expect(await still()).toBe(0);
  });

  test.each([320, 390, 768, 1024, 1920])(
    'nothing is cut off at a width of %i, even with long names',
    async (width) => {
      const name = 'a-name-of-somebody-who-thought-long-about-it-'.repeat(2);
      const own = `ida-${name}`;
      const text = `hi at ${width}`;
      await send(server.url, own, text, { sender: name });
      const context = await browser.newContext({ viewport: { width, height: 700 } });
      const ida = await ChatPage.open(context, server.url, own, { peer: name });
      await ida.log.getByText(text).waitFor();
      const wide = await ida.page.evaluate(() => document.documentElement.scrollWidth);
      expect(wide).toBeLessThanOrEqual(width);
      for (const part of ['Notifications', 'Frames', 'Sign out', 'Send']) {
        const button = ida.page.getByRole('button', { name: part, exact: true });
        const box = await button.boundingBox();
        expect(box?.x).toBeGreaterThanOrEqual(0);
        expect((box?.x ?? 0) + (box?.width ?? Infinity)).toBeLessThanOrEqual(width);
        const hidden = button.evaluate((one: Box) => one.scrollWidth - one.clientWidth);
        expect({ part, hidden: await hidden }).toEqual({ part, hidden: 0 });
      }
    },
  );
});

/** For code that runs in the page: the browser has the real one. */
interface Box {
  readonly scrollWidth: number;
  readonly clientWidth: number;
}
declare const document: {
  documentElement: { scrollWidth: number };
  getAnimations: () => { finished: Promise<unknown> }[];
  addEventListener: (name: string, listen: (event: unknown) => void) => void;
};
declare const MutationObserver: new (note: () => unknown) => {
  observe: (what: unknown, how: object) => void;
};
