import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type { Browser, BrowserContext } from 'playwright-core';
import { send } from '../support/api.ts';
import { describeInBrowser, launchBrowser } from '../support/browser.ts';
import { ClientTab } from '../support/client-tab.ts';
import { MeddlingProxy } from '../support/meddling-proxy.ts';
import { cleanUp, Server } from '../support/server.ts';
import { until } from '../support/until.ts';

describeInBrowser('a connection that is cut', () => {
  let browser: Browser;
  let context: BrowserContext;
  let server: Server;
  let proxy: MeddlingProxy;
  beforeAll(async () => {
    [browser, server] = await Promise.all([
      launchBrowser(),
      Server.start({ env: { HEARTBEAT_SECONDS: '1' } }),
    ]);
  });
  beforeEach(async () => {
    [context, proxy] = await Promise.all([browser.newContext(), MeddlingProxy.listen(server.port)]);
  });
  afterEach(async () => {
    await context.close();
    await proxy.close();
  });
  afterAll(async () => {
    await (browser as Browser | undefined)?.close();
    await cleanUp();
  });

  const heartbeats = (tab: ClientTab): number =>
    tab.visit.event.filter(({ event }) => event === 'heartbeat').length;

  /** Opens a tab that has just heard something, and for which time passes only by `pass`. */
  async function openStopped(recipient: string): Promise<ClientTab> {
    const tab = await ClientTab.open(context, proxy.origin);
    await tab.connect({ recipient }, "{ onFrame: (frame) => note('event', frame) }");
    await tab.waitForState('live');
    await tab.stopClock();
    await send(server.url, recipient, 'begin');
    await tab.waitForMessage('begin');
    return tab;
  }

  /** Silences the stream: the page has everything from before, and nothing follows. */
  async function silence(tab: ClientTab, recipient: string): Promise<void> {
    proxy.mode = 'freeze';
    await send(server.url, recipient, 'meanwhile');
    proxy.mode = 'pass';
    await tab.run("fetch('/healthz').then((answer) => answer.text())");
  }

  test.each([
    [1, 10],
    [15, 37.5],
    [60, 150],
  ])(
    'a connection that is cut in silence, with a heartbeat each %i s, is noticed after %d s, and not before',
    async (heartbeat, silent) => {
      const shared = server;
      server = await Server.start({ env: { HEARTBEAT_SECONDS: String(heartbeat) } });
      try {
        await proxy.close();
        proxy = await MeddlingProxy.listen(server.port);
        const tab = await openStopped('ann');
        await silence(tab, 'ann');
        await tab.pass(silent - 3);
        // The next look at the clock.
        await tab.pass(2);
        await tab.run("fetch('/healthz').then((answer) => answer.text())");
        expect(proxy.count('GET /stream')).toBe(1);
        await tab.pass(2);
        expect(await tab.waitForMessage('meanwhile')).toEqual(['begin', 'meanwhile']);
        expect(proxy.count('GET /stream')).toBe(2);
      } finally {
        await server.stop();
        server = shared;
      }
    },
  );

  test('a connection on which only heartbeats come is kept', async () => {
    const tab = await openStopped('ben');
    for (let round = 0; round < 5; round++) {
      const before = heartbeats(tab);
      await until(() => heartbeats(tab) > before);
      await tab.pass(8);
    }
    expect(proxy.count('GET /stream')).toBe(1);
    expect(tab.status?.state).toBe('live');
  });

  test('a connection is opened again when a machine that slept wakes up', async () => {
    const tab = await ClientTab.live(context, proxy.origin, { recipient: 'cid' });
    await send(server.url, 'cid', 'before');
    await tab.waitForMessage('before');
    proxy.mode = 'freeze';
    proxy.mode = 'pass';
    await tab.pass(8 * 3600);
    await send(server.url, 'cid', 'in the morning');
    expect(await tab.waitForMessage('in the morning')).toEqual(['before', 'in the morning']);
    expect(tab.visit.status.map(({ state }) => state)).not.toContain('offline');
  });

  test('a machine without a network is told as offline, and connects again as soon as it is online', async () => {
    const tab = await ClientTab.live(context, proxy.origin, { recipient: 'dan' });
    const streams = proxy.count('GET /stream');
    await context.setOffline(true);
    // The stream may break before the browser says that it is offline. Then the page first says that it
    // cannot reach the service.
    await until(() => tab.status?.detail === 'this machine is offline');
    expect(tab.status?.state).toBe('offline');
    await send(server.url, 'dan', 'meanwhile');
    await context.setOffline(false);
    await tab.waitForState('live');
    expect(await tab.waitForMessage('meanwhile')).toEqual(['meanwhile']);
    expect(proxy.count('GET /stream')).toBeGreaterThan(streams);
  });

  test.each(['502', '404'] as const)(
    'a connection that a proxy answers with %s is tried again until it works',
    async (mode) => {
      const name = `eva-${mode}`;
      const tab = await ClientTab.live(context, proxy.origin, { recipient: name });
      // Stop the clock, so that no try is too early or too slow.
      await tab.stopClock();
      proxy.mode = mode;
      await tab.waitForState('offline');
      const before = proxy.count('GET /stream');
      // How often a wait has begun. If time passed during a try, the client would poll, or wait too late.
      const waits = (): number =>
        tab.visit.status.filter(({ state, transport }) => state === 'offline' && transport === 'stream')
          .length;
      for (let tries = 1; tries <= 3; tries++) {
        await tab.pass(30);
        await until(() => waits() > tries);
      }
      expect(proxy.count('GET /stream')).toBeGreaterThan(before + 2);
      await send(server.url, name, 'meanwhile');
      proxy.mode = 'pass';
      await tab.pass(30);
      expect(await tab.waitForMessage('meanwhile')).toEqual(['meanwhile']);
      await tab.waitForState('live', 'stream');
    },
  );

  test('a connection to a service that is down is opened again when the service is up', async () => {
    const tab = await ClientTab.live(context, proxy.origin, { recipient: 'fay' });
    await proxy.down();
    await tab.waitForState('offline');
    expect(tab.status?.detail).toBe('the service cannot be reached');
    await tab.pass(30);
    await send(server.url, 'fay', 'meanwhile');
    await proxy.up();
    await tab.pass(30);
    expect(await tab.waitForMessage('meanwhile')).toEqual(['meanwhile']);
  });

  test('a connection is opened again at once if the page asks for it, in any tab', async () => {
    const leader = await ClientTab.live(context, proxy.origin, { recipient: 'gus' });
    const other = await ClientTab.live(context, proxy.origin, { recipient: 'gus' });
    proxy.answer = ({ url = '' }) => (url.startsWith('/stream') ? { status: 403, body: '{}' } : undefined);
    await leader.run('connection.reconnect()');
    await leader.waitForState('refused');
    await other.waitForState('refused');
    proxy.answer = () => undefined;
    await other.run('connection.reconnect()');
    await Promise.all([leader.waitForState('live'), other.waitForState('live')]);
  });
});
