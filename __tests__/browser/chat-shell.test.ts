import { createHash } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type { Browser, BrowserContext, Page, Response } from 'playwright-core';
import { get, publish, send, type WireMessage } from '../support/api.ts';
import { startSite } from '../support/base-path-proxy.ts';
import { describeInBrowser, launchBrowser } from '../support/browser.ts';
import { ChatPage } from '../support/chat-page.ts';
import { MeddlingProxy } from '../support/meddling-proxy.ts';
import { cleanUp, Server } from '../support/server.ts';
import { SECRET, tokenFor } from '../support/tokens.ts';
import { until } from '../support/until.ts';

interface Shell {
  readonly version: string;
  readonly files: Record<string, string>;
}

/**
 * Returns the names of the sets of files that the browser keeps, without those that are still being filled.
 */
function keptSets(page: Page): Promise<string[]> {
  return page.evaluate(`(async () => {
    const isWhole = async (name) => (await (await caches.open(name)).keys()).length > 0;
    const names = await caches.keys();
    const whole = await Promise.all(names.map(isWhole));
    return names.filter((_, index) => whole[index]);
  })()`);
}

describeInBrowser('the page without its service', () => {
  let browser: Browser;
  let context: BrowserContext;
  let open: Server;
  let shipped: Server;
  let closed: Server;
  let proxy: MeddlingProxy;
  beforeAll(async () => {
    [browser, open, shipped, closed] = await Promise.all([
      launchBrowser(),
      Server.start(),
      Server.start({ isShipped: true }),
      Server.start({ env: { AUTH_SECRET: SECRET } }),
    ]);
  });
  beforeEach(async () => {
    [context, proxy] = await Promise.all([browser.newContext(), MeddlingProxy.listen(open.port)]);
  });
  afterEach(async () => {
    await context.close();
    await proxy.close();
  });
  afterAll(async () => {
    await (browser as Browser | undefined)?.close();
    await cleanUp();
  });

  /** Waits until this many versions of the page are kept. */
  const keeps = ({ page }: ChatPage, versions = 1): Promise<void> =>
    until(async () => (await keptSets(page)).length === versions, 'the files of the page to be kept');

  /** Opens the page of a service without a key, and waits until it is kept. */
  const openKept = async (name: string, peer: string): Promise<ChatPage> => {
    const page = await ChatPage.open(context, proxy.origin, name, { peer });
    await keeps(page);
    return page;
  };

  /** Opens the page with all of its modules as they are shipped, and waits until it is kept. */
  const openShipped = async (name: string, peer: string): Promise<ChatPage> => {
    await proxy.close();
    proxy = await MeddlingProxy.listen(shipped.port);
    return openKept(name, peer);
  };

  /** Opens the page with a session, and waits until it is kept. */
  const signInKept = async (name: string): Promise<ChatPage> => {
    await proxy.close();
    proxy = await MeddlingProxy.listen(closed.port);
    const token = await tokenFor(name, { sendTo: ['*'] });
    const page = await ChatPage.openWithToken(context, proxy.origin, token);
    await keeps(page);
    return page;
  };

  const messagesBetween = async (sender: string, recipient: string, type = 'message'): Promise<unknown[]> => {
    const answer = await get(open.url, `/messages?recipient=${recipient}`);
    const { messages } = answer.body as { messages: WireMessage[] };
    return messages
      .filter((one) => one.sender === sender && one.recipient === recipient && one.type === type)
      .map(({ content }) => content);
  };

  const isOffline = (page: ChatPage): Promise<void> =>
    page.page.getByText('Offline: the service cannot be reached').waitFor();

  /** Answers like another version of the page, in which these files are different. */
  const deploy = async (
    version: string,
    files: Readonly<Record<string, string>>,
    { without = '' }: { without?: string } = {},
  ): Promise<void> => {
    const shell = (await (await fetch(`${shipped.url}/shell.json`)).json()) as Shell;
    const index = await (await fetch(shipped.url)).text();
    const bodies = new Map<string, string>();
    for (const [path, addition] of Object.entries(files)) {
      const body = `${await (await fetch(shipped.url + path)).text()}\n${addition}`;
      shell.files[`.${path}`] = `sha256-${createHash('sha256').update(body).digest('base64')}`;
      if (path !== without) bodies.set(path, body);
    }
    const list = JSON.stringify({ ...shell, version });
    proxy.answer = ({ url = '' }) => {
      const body = bodies.get(url);
      if (body !== undefined) return { status: 200, headers: { 'Content-Type': 'text/javascript' }, body };
      if (url === '/shell.json') return { status: 200, body: list };
      return url === '/' ? { status: 200, headers: { 'Tidings-Page': version }, body: index } : undefined;
    };
  };

  /** Returns a line of code that notes the version of the file that it is in. */
  const noting = (version: string): string => `(globalThis.versions ??= []).push('${version}');`;
  const versions = ({ page }: ChatPage): Promise<string[]> => page.evaluate(`globalThis.versions ?? []`);

  test.each<[string, string, () => Promise<void> | void, () => Promise<void> | void]>([
    ['is not there', 'gone', () => proxy.down(), () => proxy.up()],
    [
      'is not there, as a proxy says',
      'proxy',
      () => void (proxy.mode = '502'),
      () => void (proxy.mode = 'pass'),
    ],
    ['hangs', 'hung', () => void (proxy.mode = 'freeze'), () => void (proxy.mode = 'pass')],
  ])(
    'the page opens while the service %s, takes messages, and goes on by itself',
    async (_how, end, breakOff, mend) => {
      const [me, bob, carol] = [`alice-${end}`, `bob-${end}`, `carol-${end}`];
      const alice = await openKept(me, bob);
      await send(open.url, me, 'before', { sender: bob });
      await send(open.url, me, 'unread', { sender: carol });
      await alice.shows('before');
      await alice.unread(carol, 1);
      await breakOff();
      await alice.page.reload();
      await isOffline(alice);
      await alice.shows('before');
      await alice.unread(carol, 1);
      await alice.send('written meanwhile');
      await alice.shows('before', 'written meanwhile');
      await alice.isIn('waiting', 'written meanwhile');
      await until(async () => (await alice.banner.innerText()).endsWith('1 waiting to be sent'));
      await alice.page.reload();
      await alice.shows('before', 'written meanwhile');
      await send(open.url, me, 'sent meanwhile', { sender: bob });
      await send(open.url, me, 'unread too', { sender: carol });
      await mend();
      await alice.connectAnew();
      await alice.live();
      await alice.isIn('stored', 'written meanwhile');
      await alice.shows('before', 'sent meanwhile', 'written meanwhile');
      await alice.unread(carol, 2);
      await alice.unread(bob, 0);
      expect(await messagesBetween(me, bob)).toEqual(['written meanwhile']);
      const isTold = async (): Promise<boolean> => (await messagesBetween(me, bob, 'read')).length > 0;
      await until(isTold, 'the peer to be told what was read');
      expect(alice.errors).toEqual([]);
    },
  );

  test('the page is loaded from its own files alone, and its requests to the service bypass the worker', async () => {
    const alice = await openKept('ada', 'bob');
    const answers: Response[] = [];
    alice.page.on('response', (answer) => answers.push(answer));
    await alice.page.reload();
    await alice.live();
    const isOf = (kind: string): Response[] =>
      answers.filter((one) => one.request().resourceType() === kind && !one.url().endsWith('/sw.js'));
    const byWorker = (all: Response[]): boolean[] => [...new Set(all.map((one) => one.fromServiceWorker()))];
    expect(byWorker(isOf('script'))).toEqual([true]);
    expect(byWorker([...isOf('fetch'), ...isOf('eventsource')])).toEqual([false]);
  });

  test('the page has the version of the service as soon as that answers, and is kept as a whole', async () => {
    const alice = await openShipped('ann', 'bob');
    const files = { '/chat/dom.js': noting('2'), '/chat/times.js': noting('2') };
    await deploy('2', files);
    await alice.page.reload();
    await alice.live();
    expect(await versions(alice)).toEqual(['2', '2']);
    await keeps(alice, 2);
    await proxy.down();
    await alice.page.reload();
    await isOffline(alice);
    expect(await versions(alice)).toEqual(['2', '2']);
    // The service is set back to the version before.
    await proxy.up();
    proxy.answer = () => undefined;
    await alice.page.reload();
    await alice.live();
    expect(await versions(alice)).toEqual([]);
    await proxy.down();
    await alice.page.reload();
    await isOffline(alice);
    expect(await versions(alice)).toEqual([]);
    expect(alice.errors).toEqual([]);
  });

  test('the page is never of two versions: one that is half deployed is not kept', async () => {
    const alice = await openShipped('amy', 'bob');
    const before = await keptSets(alice.page);
    const files = { '/chat/dom.js': noting('2'), '/chat/times.js': noting('2') };
    await deploy('2', files, { without: '/chat/times.js' });
    await alice.page.reload();
    await alice.live();
    expect(await keptSets(alice.page)).toEqual(before);
    await proxy.down();
    await alice.page.reload();
    await isOffline(alice);
    expect(await versions(alice)).toEqual([]);
  });

  test('the page asks before unsent messages are lost, and then nothing of the person is left but the page', async () => {
    const alice = await signInKept('alice');
    await alice.turnTo('bob');
    await alice.send('hello');
    await alice.isIn('stored', 'hello');
    await alice.page.getByLabel('Message', { exact: true }).fill('a draft');
    await proxy.down();
    await alice.page.reload();
    await isOffline(alice);
    await alice.page.getByLabel('Message', { exact: true }).fill('');
    await alice.send('one');
    await alice.send('two');
    const signOut = alice.page.locator('#sign-out');
    await signOut.click();
    const dialog = alice.page.getByRole('dialog', { name: '2 messages have not been sent yet' });
    await dialog.getByText('Sign out and lose them?').waitFor();
    await dialog.getByRole('button', { name: 'Stay' }).click();
    await dialog.waitFor({ state: 'hidden' });
    await alice.shows('hello', 'one', 'two');
    await signOut.click();
    await dialog.getByRole('button', { name: 'Sign out and lose them' }).click();
    // The service does not know of it yet.
    await alice.page.getByText('This page keeps trying').waitFor();
    expect(await alice.page.locator('#app').isVisible()).toBe(false);
    expect(await alice.page.getByText('hello').count()).toBe(0);
    await proxy.up();
    await alice.page.getByLabel('Your token').waitFor();
    expect(await context.cookies()).toEqual([]);
    expect(
      await alice.page.evaluate('[...Object.keys(localStorage), ...Object.keys(sessionStorage)]'),
    ).toEqual([]);
    expect(await keptSets(alice.page)).toHaveLength(1);
    await proxy.down();
    await alice.page.reload();
    await alice.page.getByText('This page keeps trying').waitFor();
    expect(await alice.page.locator('#app').isVisible()).toBe(false);
  });

  test('the chat ends in all windows of the browser when a person signs out, and none shows anything any more', async () => {
    const dan = await signInKept('dan');
    const other = await ChatPage.open(context, proxy.origin, 'dan');
    await other.turnTo('bob');
    await dan.page.locator('#sign-out').click();
    for (const { page } of [dan, other]) await page.getByLabel('Your token').waitFor();
    expect(await other.page.evaluate('sessionStorage.length')).toBe(0);
  });

  test('the page shows nothing of the person before to another one', async () => {
    const eve = await signInKept('eve');
    await eve.turnTo('bob');
    await eve.send('between us');
    await eve.isIn('stored', 'between us');
    await proxy.down();
    await eve.page.reload();
    await eve.shows('between us');
    await eve.send('not sent yet');
    const value = await tokenFor('fay', { sendTo: ['*'] });
    await context.addCookies([
      { name: 'tidings', value, url: proxy.origin, httpOnly: true, sameSite: 'Strict' },
    ]);
    await proxy.up();
    await eve.connectAnew();
    await eve.page.getByText('Signed in as fay').waitFor();
    await eve.live();
    await eve.shows();
    expect(await eve.names()).toEqual(['bob']);
    expect(await eve.page.evaluate('Object.values(sessionStorage).join()')).not.toContain('between us');
    // It waits for its sender.
    expect(await eve.page.evaluate('Object.values(localStorage).join()')).toContain('not sent yet');
  });

  test('the page shows nothing any more when the service says that nobody is signed in', async () => {
    const gil = await signInKept('gil');
    await gil.turnTo('bob');
    await gil.send('mine');
    await gil.isIn('stored', 'mine');
    await proxy.down();
    await gil.page.reload();
    await gil.shows('mine');
    await context.clearCookies();
    await proxy.up();
    await gil.connectAnew();
    await gil.page.getByLabel('Your token').waitFor();
    expect(await gil.page.locator('#app').isVisible()).toBe(false);
    expect(await gil.page.evaluate('Object.values(sessionStorage).join()')).not.toContain('mine');
  });

  test('the page of a service without a key says that unsent messages wait for their sender', async () => {
    const hal = await openKept('hal', 'ian');
    await proxy.down();
    await hal.page.reload();
    await isOffline(hal);
    await hal.send('later');
    await hal.page.locator('#sign-out').click();
    const dialog = hal.page.getByRole('dialog', { name: '1 message has not been sent yet' });
    await dialog.getByText(/It waits in this browser until somebody signs in as .hal. again/).waitFor();
    await dialog.getByRole('button', { name: 'Sign out' }).click();
    await hal.page.getByText('This page keeps trying').waitFor();
    await proxy.up();
    await hal.page.getByLabel('Your name').fill('hal');
    await hal.page.getByLabel('Your name').press('Enter');
    await hal.live();
    await until(async () => (await messagesBetween('hal', 'ian')).length > 0);
    expect(await messagesBetween('hal', 'ian')).toEqual(['later']);
  });

  test('the page works as before, without a complaint, if the browser has no room for it or stores nothing', async () => {
    const page = new ChatPage(await context.newPage());
    const debug = await context.newCDPSession(page.page);
    await debug.send('Storage.overrideQuotaForOrigin', { origin: proxy.origin, quotaSize: 1000 });
    await page.page.goto(proxy.origin);
    await page.page.getByLabel('Your name').fill('jan');
    await page.page.getByLabel('Your name').press('Enter');
    await page.live();
    await until(() => proxy.count('GET /shell.json') > 0, 'the worker to be at work');
    await page.page.reload();
    await page.live();
    expect(await keptSets(page.page)).toEqual([]);
    expect(page.errors).toEqual([]);

    const none = await browser.newContext();
    await none.addInitScript(`for (const name of ['localStorage', 'sessionStorage', 'caches'])
      Object.defineProperty(window, name, { get() { throw new DOMException('denied', 'SecurityError'); } });
      navigator.serviceWorker.register = () => Promise.reject(new DOMException('denied', 'SecurityError'));`);
    const forbidden = await ChatPage.open(none, proxy.origin, 'kim', { peer: 'bob' });
    await forbidden.send('hi');
    await forbidden.isIn('stored', 'hi');
    expect(forbidden.errors).toEqual([]);
    await none.close();
  });

  test('the page opens below a path of a site, and leaves its neighbours alone', async () => {
    const neighbour = await Server.start();
    const site = await startSite({ '/a': open.url, '': neighbour.url });
    const above = await ChatPage.open(context, site.url, 'lea');
    await keeps(above);
    const below = await ChatPage.open(context, `${site.url}a`, 'max', { peer: 'lea' });
    await keeps(above, 2);
    await below.send('hi');
    await below.isIn('stored', 'hi');
    const names = await keptSets(below.page);
    expect(names.map((name) => name.split(' ')[0])).toEqual([
      `tidings:shell:${site.url}`,
      `tidings:shell:${site.url}a/`,
    ]);
    site.close();
    for (const { page } of [above, below]) await page.reload();
    await below.shows('hi');
    await above.page.getByText('Signed in as lea').waitFor();
    const nothing = await context.newPage();
    await expect(nothing.goto(`${site.url}b/`)).rejects.toThrow(/ERR_CONNECTION_REFUSED/);
  });

  test('the page does not show what has expired meanwhile', async () => {
    const nia = await openKept('nia', 'bob');
    await send(open.url, 'nia', 'stays', { sender: 'bob' });
    await send(open.url, 'nia', 'passes', { sender: 'bob', ttl: 3 });
    await nia.shows('stays', 'passes');
    const { url } = { url: nia.page.url() };
    await nia.page.goto(`${proxy.origin}/healthz`);
    const copies = `Object.values(sessionStorage).join()`;
    expect(await nia.page.evaluate(copies)).toContain('passes');
    await until(async () => (await messagesBetween('bob', 'nia')).length === 1, 'it to expire');
    await proxy.down();
    await nia.page.goto(url);
    await isOffline(nia);
    await nia.shows('stays');
    await nia.row('bob').getByText('stays').waitFor();
  });

  test('the page tells that the log was restored meanwhile, and shows what it holds now', async () => {
    const first = await Server.start();
    const elsewhere = await Server.start();
    const { database } = elsewhere;
    await publish(elsewhere.url, [{ sender: 'alice', recipient: 'oli', content: 'in the new log' }]);
    await elsewhere.stop();
    const oli = await ChatPage.open(context, first.url, 'oli', { peer: 'alice' });
    await keeps(oli);
    for (const text of ['lost 1', 'lost 2']) await send(first.url, 'oli', text, { sender: 'alice' });
    await oli.shows('lost 1', 'lost 2');
    await first.kill();
    await oli.page.reload();
    await oli.shows('lost 1', 'lost 2');
    await Server.start({ port: first.port, database });
    await oli.connectAnew();
    await oli.page.getByRole('alert').getByText('older backup').waitFor();
    await oli.live();
    await oli.shows('in the new log');
    await oli.unread('alice', 0);
    expect(oli.errors).toEqual([]);
  });
});
