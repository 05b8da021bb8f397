import { expect, test } from '@jest/globals';
import type { Route } from 'playwright-core';
import { get, send } from '../support/api.ts';
import { describeInBrowser } from '../support/browser.ts';
import { ClientTab } from '../support/client-tab.ts';
import { until } from '../support/until.ts';
import { withBrowser, withContext, withServer } from '../support/with-browser.ts';

describeInBrowser('the tabs of a browser', () => {
  const browser = withBrowser();
  const server = withServer();
  const context = withContext(browser);

  async function devices(address: string): Promise<number | undefined> {
    const answer = await get(server.url, `/presence?recipient=${address}`);
    return (answer.body as Record<string, { devices: number }>)[address]?.devices;
  }

  async function openTabs(count: number, recipient: string): Promise<ClientTab[]> {
    const tabs: ClientTab[] = [];
    for (let tab = 0; tab < count; tab++) tabs.push(await ClientTab.live(context, server.url, { recipient }));
    return tabs;
  }

  test('ten tabs of a browser have one stream, and each is told everything once and in order', async () => {
    const tabs = await openTabs(10, 'ten');
    expect(await devices('ten')).toBe(1);
    expect(tabs.map((tab) => tab.status?.shared)).toEqual([false, ...Array<boolean>(9).fill(true)]);
    const contents = Array.from({ length: 50 }, (_, index) => index);
    for (const content of contents) await send(server.url, 'ten', content);
    for (const tab of tabs) expect(await tab.waitForMessage(49)).toEqual(contents);
    expect(await devices('ten')).toBe(1);
  });

  test('tabs have one stream wherever in the service their pages are', async () => {
    const first = await ClientTab.live(context, server.url, {
      recipient: 'base',
      url: `${server.url}/?a#bob`,
    });
    const second = await ClientTab.live(context, server.url, { recipient: 'base', url: './index.html#cid' });
    expect([first.status?.shared, second.status?.shared]).toEqual([false, true]);
    expect(await devices('base')).toBe(1);
  });

  test('another tab resumes the stream when the tab that has it is closed', async () => {
    const tabs = await openTabs(3, 'heir');
    await send(server.url, 'heir', 'before');
    for (const tab of tabs) await tab.waitForMessage('before');
    const streams: string[] = [];
    context.on('request', (request) => {
      if (request.url().includes('/stream')) streams.push(request.url());
    });
    await tabs[0]?.close();
    await send(server.url, 'heir', 'after');
    for (const tab of tabs.slice(1)) expect(await tab.waitForMessage('after')).toEqual(['before', 'after']);
    await until(() => tabs[1]?.status?.shared === false && tabs[1].status.state === 'live');
    expect(tabs[2]?.status?.shared).toBe(true);
    await until(async () => (await devices('heir')) === 1);
    // The browser reports its requests on another way than the pages report theirs, maybe later.
    await until(() => streams.length > 0);
    expect(streams).toHaveLength(1);
    expect(new URL(String(streams[0])).searchParams.get('lastEventId')).toMatch(/^\d+-/);
  });

  test('tabs ask for nothing if nothing is missing, however much is sent to others', async () => {
    const [first] = await openTabs(1, 'calm');
    const other = await ClientTab.open(context, server.url);
    const asked: string[] = [];
    context.on('request', (request) => {
      if (request.url().includes('/messages?')) asked.push(request.url());
    });
    // The head of the log, which is ahead of the stream.
    const { id } = await send(server.url, 'somebody else', 1);
    await other.connect({ recipient: 'calm', cursor: String(id) });
    await other.waitForState('live');
    const before = asked.length;
    for (let times = 0; times < 3; times++) await other.run('connection.watch([])');
    await send(server.url, 'calm', 'after');
    for (const tab of [first, other]) await tab?.waitForMessage('after');
    expect(before).toBeLessThanOrEqual(1);
    expect(asked).toHaveLength(before);
  });

  test('tabs that want to see different people have one stream that tells of all of them', async () => {
    const streams: string[][] = [];
    context.on('request', (request) => {
      const { pathname, searchParams } = new URL(request.url());
      if (pathname === '/stream') streams.push(searchParams.getAll('presence'));
    });
    const tabs: ClientTab[] = [];
    for (const presence of [['p1'], ['p2'], ['p3'], ['p4']])
      tabs.push(await ClientTab.live(context, server.url, { recipient: 'curious', presence }));
    await until(() => streams.at(-1)?.length === 4, 'a stream that tells of all');
    const [first, ...others] = tabs;
    await first?.waitForState('live');
    streams.length = 0;
    await first?.close();
    const heir = others[0];
    await until(() => heir?.status?.shared === false && heir.status.state === 'live');
    // Longer than it would wait after a wish for another address.
    await heir?.page.evaluate('new Promise((resolve) => setTimeout(resolve, 1000))');
    await send(server.url, 'curious', 'after');
    for (const tab of others) await tab.waitForMessage('after');
    expect(streams).toHaveLength(1);
  });

  test('another tab takes over when the tab with the stream crashes, and misses nothing of what came meanwhile', async () => {
    const first = await ClientTab.live(context, server.url, { recipient: 'orphan' });
    const second = await ClientTab.live(context, server.url, { recipient: 'orphan' });
    const publishing = (async () => {
      for (let content = 0; content < 60; content++) await send(server.url, 'orphan', content);
    })();
    await second.waitForMessage(5);
    await first.crash();
    await publishing;
    expect(await second.waitForMessage(59)).toEqual(Array.from({ length: 60 }, (_, index) => index));
    // All of these messages may have been told before the crash.
    await until(() => second.status?.shared === false);
  });

  test.each([
    ['there are none', 'delete Navigator.prototype.locks'],
    [
      'they are denied',
      'LockManager.prototype.request = () => Promise.reject(new DOMException("no", "SecurityError"))',
    ],
  ])('tabs without locks, because %s, each have a stream, and everything works', async (_, without) => {
    const address = `lockless${without.length}`;
    const tabs: ClientTab[] = [];
    for (let tab = 0; tab < 2; tab++) {
      const opened = await ClientTab.open(context, server.url);
      await opened.run(`void (${without})`);
      await opened.connect({ recipient: address });
      await opened.waitForState('live');
      tabs.push(opened);
    }
    expect(await devices(address)).toBe(2);
    const sent = await tabs[0]?.send(address, 'from a tab');
    expect((await sent?.())?.value).toMatchObject({ content: 'from a tab' });
    for (const tab of tabs) {
      expect(await tab.waitForMessage('from a tab')).toEqual(['from a tab']);
      expect(tab.status?.shared).toBe(false);
    }
  });

  test('a tab that begins behind the one with the stream fetches what lies between, once', async () => {
    const first = await ClientTab.live(context, server.url, { recipient: 'late' });
    const [one] = [await send(server.url, 'late', 1), await send(server.url, 'late', 2)];
    await send(server.url, 'late', 3);
    await first.waitForMessage(3);
    const second = await ClientTab.live(context, server.url, { recipient: 'late', cursor: String(one.id) });
    expect(await second.waitForMessage(3)).toEqual([2, 3]);
    await send(server.url, 'late', 4);
    expect(await second.waitForMessage(4)).toEqual([2, 3, 4]);
    expect(await first.waitForMessage(4)).toEqual([1, 2, 3, 4]);
    expect(await devices('late')).toBe(1);
  });

  test('a tab that could not fetch what lies between does so at once when the service is there again', async () => {
    const leader = await ClientTab.live(context, server.url, { recipient: 'behind' });
    for (const content of [1, 2, 3]) await send(server.url, 'behind', content);
    await leader.waitForMessage(3);
    const behind = await ClientTab.open(context, server.url);
    // The clock stands still, so no wait would end.
    await behind.stopClock();
    let failures = 0;
    let failing = true;
    await behind.page.route('**/messages?**', (route) => {
      failures++;
      return failing ? route.abort() : route.continue();
    });
    await behind.connect({ recipient: 'behind', cursor: '0' });
    await until(() => failures > 0);
    failing = false;
    await leader.run('connection.reconnect()');
    expect(await behind.waitForMessage(3)).toEqual([1, 2, 3]);
  });

  test('a tab that could not fetch what lies between does so at once when it has a stream itself', async () => {
    const leader = await ClientTab.live(context, server.url, { recipient: 'heir apparent' });
    for (const content of [1, 2, 3]) await send(server.url, 'heir apparent', content);
    await leader.waitForMessage(3);
    const behind = await ClientTab.open(context, server.url);
    await behind.stopClock();
    let failures = 0;
    let failing = true;
    await behind.page.route('**/messages?**', (route) => {
      failures++;
      return failing ? route.abort() : route.continue();
    });
    await behind.connect({ recipient: 'heir apparent', cursor: '0' });
    await until(() => failures > 0);
    failing = false;
    await leader.close();
    expect(await behind.waitForMessage(3)).toEqual([1, 2, 3]);
  });

  test('a tab fetches what lies between at once, even if the service is back before it hears that it could not', async () => {
    const leader = await ClientTab.live(context, server.url, { recipient: 'asking' });
    for (const content of [1, 2, 3]) await send(server.url, 'asking', content);
    await leader.waitForMessage(3);
    const behind = await ClientTab.open(context, server.url);
    await behind.stopClock();
    const held: Route[] = [];
    let holding = true;
    await behind.page.route('**/messages?**', async (route) => {
      if (holding) held.push(route);
      else await route.continue();
    });
    await behind.connect({ recipient: 'asking', cursor: '0' });
    await until(() => held.length > 0);
    const statuses = behind.visit.status.length;
    await leader.run('connection.reconnect()');
    await until(() => behind.visit.status.slice(statuses).some(({ state }) => state === 'catching-up'));
    await until(() => behind.status?.state === 'live');
    holding = false;
    for (const route of held) await route.abort();
    expect(await behind.waitForMessage(3)).toEqual([1, 2, 3]);
  });
});
