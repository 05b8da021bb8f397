import { afterEach, expect, test } from '@jest/globals';
import type { EventSource as EventSourceType } from 'eventsource';
import type { Browser, JSHandle, Page, Request } from 'playwright-core';
import { send } from '../support/api.ts';
import { describeInBrowser } from '../support/browser.ts';
import { cleanUp, Server } from '../support/server.ts';
import { until } from '../support/until.ts';
import { withFreshPages } from '../support/with-browser.ts';

/** For code that runs in the page: the browser has the real one. */
declare const EventSource: typeof EventSourceType;

/** One EventSource in a page that does nothing else. */
class BlankPage {
  readonly page: Page;
  readonly requests: Request[] = [];
  #events: JSHandle<{ event: string; id: string; data: string }[]> | undefined;
  #source: JSHandle<{ readyState: number }> | undefined;

  private constructor(page: Page) {
    this.page = page;
    page.on('request', (request) => {
      if (new URL(request.url()).pathname === '/stream') this.requests.push(request);
    });
  }

  static async open(browser: Browser, url: string, recipient: string): Promise<BlankPage> {
    const opened = new BlankPage(await (await browser.newContext()).newPage());
    // On the service's origin, and without a script of its own.
    await opened.page.goto(`${url}/favicon.svg`);
    const handle = await opened.page.evaluateHandle((path) => {
      const source = new EventSource(path);
      const events: { event: string; id: string; data: string }[] = [];
      for (const event of ['message', 'ready', 'live', 'bye']) {
        source.addEventListener(event, ({ data, lastEventId }) => {
          events.push({ event, id: lastEventId, data: data as string });
        });
      }
      return { source, events };
    }, `/stream?recipient=${recipient}`);
    opened.#source = await handle.getProperty('source');
    opened.#events = await handle.getProperty('events');
    return opened;
  }

  /** Returns the data and ids of all events of this name so far. */
  async seen(name: string): Promise<{ id: string; data: { content?: unknown; reason?: string } }[]> {
    const events = (await this.#events?.jsonValue()) ?? [];
    return events
      .filter(({ event }) => event === name)
      .map(({ id, data }) => ({ id, data: JSON.parse(data) as { content?: unknown; reason?: string } }));
  }

  /** Waits for a message, and returns the contents of all so far. */
  async contentsWith(content: string): Promise<unknown[]> {
    const contents = async (): Promise<unknown[]> =>
      (await this.seen('message')).map(({ data }) => data.content);
    await until(async () => (await contents()).includes(content), `the message "${content}"`);
    return contents();
  }

  /** Returns the `readyState`. 0: it connects; 1: it is open; 2: it has given up. */
  readyState(): Promise<number | undefined> {
    return this.#source?.evaluate((source) => source.readyState) ?? Promise.resolve(undefined);
  }
}

describeInBrowser("the browser's own EventSource", () => {
  const browser = withFreshPages();
  afterEach(cleanUp);

  test('an EventSource comes back by itself after a crash of the server with its last event id, and misses and repeats nothing', async () => {
    const first = await Server.start();
    const { database, port } = first;
    const pages = await Promise.all(['bob', 'alice'].map((name) => BlankPage.open(browser, first.url, name)));
    const publish = (origin: string, content: string): Promise<unknown> =>
      send(origin, 'bob', content, { sender: 'alice' });
    for (const page of pages) await until(async () => (await page.seen('live')).length === 1);
    await publish(first.url, 'before 1');
    await publish(first.url, 'before 2');
    for (const page of pages) await page.contentsWith('before 2');
    await first.kill();
    for (const page of pages) await until(async () => (await page.readyState()) === 0);

    // The browser does not see these requests, so they are surely published before it is back.
    const elsewhere = await Server.start({ database });
    await publish(elsewhere.url, 'meanwhile 1');
    await publish(elsewhere.url, 'meanwhile 2');
    await elsewhere.stop();

    const again = await Server.start({ database, port });
    await publish(again.url, 'after 1');
    for (const page of pages) await until(async () => (await page.seen('live')).length === 2);
    await publish(again.url, 'after 2');
    for (const page of pages) {
      expect(await page.contentsWith('after 2')).toEqual([
        'before 1',
        'before 2',
        'meanwhile 1',
        'meanwhile 2',
        'after 1',
        'after 2',
      ]);
      // The browser reports its requests on another way than its page does, maybe later.
      await until(() => page.requests.length > 1);
      const lastEventId = (await page.requests.at(-1)?.allHeaders())?.['last-event-id'];
      expect(lastEventId).toMatch(/^2-/);
      expect((await page.seen('ready')).at(-1)?.id).toBe(lastEventId);
    }
  });

  test('an EventSource is not stopped for good by the `bye` of a server that shuts down', async () => {
    const first = await Server.start();
    const { database, port } = first;
    const page = await BlankPage.open(browser, first.url, 'bob');
    await until(async () => (await page.seen('live')).length === 1);
    await send(first.url, 'bob', 'before');
    await page.contentsWith('before');
    await first.stop();
    await until(async () => (await page.seen('bye')).length > 0);
    const [bye] = await page.seen('bye');
    expect(bye?.data.reason).toBe('shutdown');
    expect(bye?.id).toMatch(/^1-/);
    // The end of the stream comes after its last event.
    await until(async () => (await page.readyState()) !== 1);
    expect(await page.readyState()).toBe(0);
    const again = await Server.start({ database, port });
    await send(again.url, 'bob', 'after');
    expect(await page.contentsWith('after')).toEqual(['before', 'after']);
  });

  test('an EventSource over the limit of streams is told so in band, and goes on asking', async () => {
    const server = await Server.start({ env: { MAX_STREAMS: '1' } });
    const inside = await BlankPage.open(browser, server.url, 'bob');
    await until(async () => (await inside.seen('live')).length === 1);
    const outside = await BlankPage.open(browser, server.url, 'bob');
    await until(async () => (await outside.seen('bye')).length > 0);
    expect((await outside.seen('bye'))[0]?.data.reason).toBe('over-limit');
    await until(async () => (await outside.readyState()) !== 1);
    expect(await outside.readyState()).toBe(0);
    await inside.page.close();
    // It was told to come back within 15 s.
    await until(async () => (await outside.seen('live')).length === 1, 'the other one to be let in');
  });
});
