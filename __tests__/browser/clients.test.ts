import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Browser } from 'playwright-core';
import { describeInBrowser, launchBrowser } from '../support/browser.ts';
import { ClientSite } from '../support/client-site.ts';
import { Firefox, HAS_FIREFOX } from '../support/firefox.ts';
import { ForeignPage, messagesIn } from '../support/foreign-client.ts';
import { PatientProxy } from '../support/patient-proxy.ts';
import { expectExact, RestartedServer } from '../support/restarts.ts';
import { cleanUp } from '../support/server.ts';
import { until } from '../support/until.ts';

/** Pages with clients of others, each as its own documentation shows it. */
const PAGES = [
  'event-source.html',
  'fetch-event-source.html',
  'reconnecting-eventsource.html',
  'reconnecting-eventsource-listening.html',
] as const;
/** Pages that give up for good when a connection is refused. They go through a proxy that refuses none. */
const IMPATIENT = ['event-source.html in Firefox', 'reconnecting-eventsource.html in Firefox'];
const BROWSERS = HAS_FIREFOX ? ['Chromium', 'Firefox'] : ['Chromium'];
const testInFirefox = HAS_FIREFOX ? test : test.skip;

describeInBrowser('in a page', () => {
  let chromium: Browser;
  let firefox: Firefox | undefined;
  let site: ClientSite;
  beforeAll(async () => {
    [chromium, firefox, site] = await Promise.all([
      launchBrowser(),
      HAS_FIREFOX ? Firefox.launch() : undefined,
      ClientSite.start(),
    ]);
  });
  afterAll(async () => {
    await (chromium as Browser | undefined)?.close();
    await firefox?.close();
    (site as ClientSite | undefined)?.stop();
    await cleanUp();
  });

  async function open(browser: string, file: string, stream: string): Promise<ForeignPage> {
    const url = site.pageOf(file, stream);
    const name = `${file} in ${browser}`;
    if (browser === 'Firefox' && firefox !== undefined) return new ForeignPage(name, await firefox.open(url));
    const page = await chromium.newPage();
    await page.goto(url);
    return new ForeignPage(name, (expression) => page.evaluate<string>(expression));
  }

  describe('of all messages, whatever they are, exactly once and in order is handed on', () => {
    const recipient = 'bob';
    const pages = new Map<string, ForeignPage>();
    let server: RestartedServer;
    let proxy: PatientProxy;
    const pageOf = (file: (typeof PAGES)[number], browser: string): ForeignPage => {
      const page = pages.get(`${file} in ${browser}`);
      if (page === undefined) throw new Error(`${file} was not opened`);
      return page;
    };
    beforeAll(async () => {
      server = await RestartedServer.start();
      proxy = await PatientProxy.listen(Number(new URL(server.url).port));
      for (const browser of BROWSERS) {
        for (const file of PAGES) {
          const name = `${file} in ${browser}`;
          const stream = server.streamOf(recipient, encodeURIComponent(name));
          const way = IMPATIENT.includes(name) ? stream.replace(server.url, proxy.origin) : stream;
          pages.set(name, await open(browser, file, way));
        }
      }
      await server.waitForDevices(recipient, pages.size);
      await server.publishThroughEnds(recipient, pages.size);
    });
    afterAll(() => (proxy as PatientProxy | undefined)?.close());

    test.each(BROWSERS.flatMap((browser) => PAGES.map((file) => [file, browser] as const)))(
      'clients hand on every message once and in order over SIGTERM and SIGKILL, by %s in %s',
      async (file, browser) => {
        await expectExact(pageOf(file, browser), server.url, recipient);
      },
    );

    test('clients that make a new EventSource or have none hand on every message once and in order over 502 of a proxy', async () => {
      await server.failAsProxiesDo(recipient, pages.size);
      for (const browser of BROWSERS) {
        for (const file of ['fetch-event-source.html', 'reconnecting-eventsource-listening.html'] as const) {
          await expectExact(pageOf(file, browser), server.url, recipient);
        }
        // It is closed, and does not come back.
        const closed = pageOf('event-source.html', browser);
        await until(
          async () => (await closed.evaluate('String(source.readyState)')) === '2',
          'it to give up',
        );
        // It is back, but only listeners move the position from which it continues.
        const forgetful = pageOf('reconnecting-eventsource.html', browser);
        await server.waitForDevices(`reconnecting-eventsource.html in ${browser}`, 1);
        await server.send(recipient, 'when all are back');
        const newest = async (): Promise<unknown> => messagesIn(await forgetful.received()).at(-1)?.content;
        await until(async () => (await newest()) === 'when all are back', 'the newest message');
        expect(await forgetful.received()).not.toContainEqual(
          expect.objectContaining({ content: 'while a proxy answered 502' }),
        );
      }
    });
  });

  testInFirefox('a refused connection is the end of an EventSource of Firefox', async () => {
    const server = await RestartedServer.start();
    const page = await open('Firefox', 'event-source.html', server.streamOf('dora', 'dora-refused'));
    await server.waitForDevices('dora', 1);
    await server.kill();
    await until(async () => (await page.evaluate('String(source.readyState)')) === '2', 'it to give up');
  });

  test('fetch-event-source without its handler `onclose` ends with the first connection', async () => {
    const server = await RestartedServer.start();
    const stream = server.streamOf('carol', 'carol-alone');
    const pages = await Promise.all(
      BROWSERS.map((browser) => open(browser, 'fetch-event-source-alone.html', stream)),
    );
    await server.waitForDevices('carol', pages.length);
    await server.restart();
    for (const page of pages) {
      await until(async () => (await page.received()).includes('it has ended'), 'the end');
      expect(await page.received()).toContainEqual({ type: 'bye', reason: 'shutdown' });
    }
  });
});
