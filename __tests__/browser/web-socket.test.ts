import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { request } from '../support/api.ts';
import { describeInBrowser, knowing, launchBrowser } from '../support/browser.ts';
import { OtherSite } from '../support/other-site.ts';
import { cleanUp, Server } from '../support/server.ts';
import type { Closed, SocketEvent } from '../support/socket-device.ts';
import { bearer, SECRET, tokenFor } from '../support/tokens.ts';
import { until } from '../support/until.ts';

const EVIL = 'evil.example';

/** The events that a page has seen on its WebSocket. */
interface Seen {
  readonly open: boolean;
  readonly events: readonly SocketEvent[];
  readonly close: Closed | null;
}

/** Opens the browser's own WebSocket in a page. */
async function openSocket(page: Page, url: string): Promise<() => Promise<Seen>> {
  await page.evaluate(`
    globalThis.seen = { open: false, events: [], close: null };
    globalThis.socket = new WebSocket(${JSON.stringify(url)});
    socket.onopen = () => (seen.open = true);
    socket.onmessage = ({ data }) => seen.events.push(JSON.parse(data));
    socket.onclose = ({ code, reason }) => (seen.close = { code, reason });
  `);
  return () => page.evaluate('seen');
}

describeInBrowser('a WebSocket in a page', () => {
  let browser: Browser;
  let context: BrowserContext;
  let other: OtherSite;
  let server: Server;
  let origin: string;
  beforeAll(async () => {
    browser = await launchBrowser(knowing([EVIL]));
    context = await browser.newContext();
    other = await OtherSite.start();
    server = await Server.start({ env: { AUTH_SECRET: SECRET, HEARTBEAT_SECONDS: '1' } });
    origin = `http://localhost:${server.port}`;
  });
  afterAll(async () => {
    await (browser as Browser | undefined)?.close();
    other.stop();
    await cleanUp();
  });

  test('a WebSocket in a page has its session, delivers, publishes, is kept alive, and is told of the end', async () => {
    const page = await context.newPage();
    await page.goto(origin);
    const url = `ws://localhost:${server.port}/ws`;
    // Without a session it is refused, and the page sees nothing else.
    const refused = await openSocket(page, url);
    await until(async () => (await refused()).close !== null);
    expect(await refused()).toEqual({ open: false, events: [], close: { code: 1006, reason: '' } });

    const token = await tokenFor('alice', { sendTo: ['*'] });
    const init = { method: 'PUT', headers: bearer(token) };
    expect(
      await page.evaluate(`fetch('/session', ${JSON.stringify(init)}).then(({ status }) => status)`),
    ).toBe(200);
    const seen = await openSocket(page, `${url}?presence=alice`);
    await until(async () => (await seen()).events.some(({ event }) => event === 'live'));
    await page.evaluate(
      `socket.send(JSON.stringify({ publish: { recipient: 'bob', content: 'hé 🙂' }, ref: 'r' }))`,
    );
    await until(async () => (await seen()).events.some(({ event }) => event === 'published'));
    const { events } = await seen();
    const published = events.find(({ event }) => event === 'published');
    expect(published).toMatchObject({ ref: 'r', data: { sender: 'alice', content: 'hé 🙂' } });
    // The sender's inbox has its own message, too.
    expect(events.find(({ event }) => event === 'message')?.data).toEqual(published?.data);
    // More pings than a peer may leave unanswered: the browser has answered them.
    await until(async () => (await seen()).events.filter(({ event }) => event === 'heartbeat').length >= 6);
    expect((await seen()).close).toBeNull();

    // A page of another site has the cookie at most, but never the socket.
    const foreign = await other.open(context, EVIL);
    const hijacked = await openSocket(foreign, url);
    await until(async () => (await hijacked()).close !== null);
    expect(await hijacked()).toEqual({ open: false, events: [], close: { code: 1006, reason: '' } });
    // On the same site, so the browser sends the cookie.
    const neighbour = await other.open(context, 'localhost');
    const tried = await openSocket(neighbour, url);
    await until(async () => (await tried()).close !== null);
    expect(await tried()).toEqual({ open: false, events: [], close: { code: 1006, reason: '' } });

    expect((await server.stop()).code).toBe(0);
    await until(async () => (await seen()).close !== null);
    expect((await seen()).close).toEqual({ code: 1001, reason: 'shutdown' });
    expect((await seen()).events.at(-1)).toMatchObject({ event: 'bye', data: { reason: 'shutdown' } });
    await expect(request(origin)).rejects.toThrow();
  });
});
