import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type { Browser, BrowserContext } from 'playwright-core';
import { send } from '../support/api.ts';
import { describeInBrowser, launchBrowser } from '../support/browser.ts';
import { cleanUp, Server } from '../support/server.ts';
import { StreamPage } from '../support/stream-page.ts';
import { until } from '../support/until.ts';

describeInBrowser("the browser's own EventSource", () => {
  let browser: Browser;
  let context: BrowserContext;
  beforeAll(async () => {
    browser = await launchBrowser();
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

  test('after a crash of the server it comes back by itself with its last event id, and misses nothing and sees nothing twice', async () => {
    const first = await Server.start();
    const { database, port } = first;
    const pages = await Promise.all(
      ['bob', 'alice'].map((name) => StreamPage.openLive(context, first.url, name)),
    );
    const publish = (origin: string, content: string): Promise<unknown> =>
      send(origin, 'bob', content, { sender: 'alice' });
    await publish(first.url, 'before 1');
    await publish(first.url, 'before 2');
    for (const page of pages) await page.waitForMessage('before 2');
    await first.kill();
    for (const page of pages) await page.waitForState('Connecting');

    // Where the browser does not look: these are surely published before it is back.
    const elsewhere = await Server.start({ database });
    await publish(elsewhere.url, 'meanwhile 1');
    await publish(elsewhere.url, 'meanwhile 2');
    await elsewhere.stop();

    const again = await Server.start({ database, port });
    await publish(again.url, 'after 1');
    for (const page of pages) await page.waitForState('Live');
    await publish(again.url, 'after 2');
    for (const page of pages) {
      expect(await page.waitForMessage('after 2')).toEqual([
        'before 1',
        'before 2',
        'meanwhile 1',
        'meanwhile 2',
        'after 1',
        'after 2',
      ]);
      const lastEventId = (await page.streamRequests.at(-1)?.allHeaders())?.['last-event-id'];
      expect(lastEventId).toMatch(/^2-/);
      expect((await page.ids('ready')).at(-1)).toBe(lastEventId);
      expect(await page.texts('ready')).toEqual(['The stream is open', 'The stream is open']);
    }
  });

  test('a `bye` when the server shuts down does not stop it for good', async () => {
    const first = await Server.start();
    const { database, port } = first;
    const page = await StreamPage.openLive(context, first.url, 'bob');
    await send(first.url, 'bob', 'before');
    await page.waitForMessage('before');
    await first.stop();
    await until(async () => (await page.texts('bye')).length > 0);
    expect(await page.texts('bye')).toEqual(['The server ends the stream: the server is shutting down']);
    expect(await page.state()).toBe('Connecting');
    expect((await page.ids('bye'))[0]).toMatch(/^1-/);
    const again = await Server.start({ database, port });
    await send(again.url, 'bob', 'after');
    expect(await page.waitForMessage('after')).toEqual(['before', 'after']);
    await page.waitForState('Live');
  });

  test('a log that went back in time is told in words, and what the page showed gives way to what the log holds', async () => {
    const first = await Server.start();
    const page = await StreamPage.openLive(context, first.url, 'bob');
    await send(first.url, 'bob', 'lost with its disk');
    await page.waitForMessage('lost with its disk');
    await first.kill();
    const restored = await Server.start({ port: first.port });
    await send(restored.url, 'bob', 'in the new log');
    expect(await page.waitForMessage('in the new log')).toEqual(['in the new log']);
    expect(await page.page.locator('li.ready.warning .content').innerText()).toContain('went back in time');
  });

  test('over the limit of streams it is told so in band, and goes on asking', async () => {
    const server = await Server.start({ env: { MAX_STREAMS: '1' } });
    const inside = await StreamPage.openLive(context, server.url, 'bob');
    const outside = await StreamPage.open(context, server.url, 'bob');
    await until(async () => (await outside.texts('bye')).length > 0);
    expect(await outside.texts('bye')).toEqual([
      'The server ends the stream: as many streams are open as the server takes',
    ]);
    expect(await outside.state()).toBe('Connecting');
    expect([...inside.errors, ...outside.errors]).toEqual([]);
  });
});
