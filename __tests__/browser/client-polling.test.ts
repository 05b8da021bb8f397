import { beforeEach, expect, test } from '@jest/globals';
import { get, send } from '../support/api.ts';
import { describeInBrowser } from '../support/browser.ts';
import { ClientTab, type TabOptions } from '../support/client-tab.ts';
import { until } from '../support/until.ts';
import { withBrowser, withContext, withProxy, withServer } from '../support/with-browser.ts';

/** Seconds after which a stream that is not ready is given up. */
const NOT_READY = 6;

describeInBrowser('behind a proxy that keeps streams back', () => {
  const browser = withBrowser();
  const server = withServer();
  const context = withContext(browser);
  const proxy = withProxy(server);
  beforeEach(() => {
    proxy.mode = 'buffer';
  });

  /** Opens a tab that has given up on its stream. */
  async function openPolling(options: TabOptions): Promise<ClientTab> {
    const tab = await ClientTab.open(context, proxy.origin);
    await tab.connect(options);
    await until(() => proxy.count('GET /stream') > 0);
    await tab.pass(NOT_READY);
    await tab.waitForState('live', 'polling');
    return tab;
  }

  test('a client behind a proxy that holds streams back polls, says so, and goes on with a stream when one gets through', async () => {
    const tab = await openPolling({ recipient: 'ann' });
    // Let as much time pass as a trial takes.
    await tab.stopClock();
    const contents: unknown[] = [];
    proxy.mode = 'pass';
    for (let third = 0; third < 3; third++) {
      contents.push(third);
      await send(server.url, 'ann', third);
      expect(await tab.waitForMessage(third)).toEqual(contents);
      expect(tab.status).toMatchObject({ state: 'live', transport: 'polling' });
      await tab.pass(20);
    }
    await tab.pass(1);
    await tab.waitForState('live', 'stream');
    await send(server.url, 'ann', 'by stream');
    expect(await tab.waitForMessage('by stream')).toEqual([...contents, 'by stream']);
    expect(tab.visit.status.map(({ state }) => state)).not.toContain('offline');
    const answered = proxy.count('GET /messages');
    await send(server.url, 'ann', 'last');
    await tab.waitForMessage('last');
    expect(proxy.count('GET /messages')).toBe(answered);
  });

  test('the trial of a stream that is held back as well loses and repeats nothing', async () => {
    const tab = await openPolling({ recipient: 'ben' });
    // The trial does not end by itself: anything told meanwhile was polled, however long that takes.
    await tab.stopClock();
    const streams = proxy.count('GET /stream');
    for (let third = 0; third < 3; third++) {
      await tab.pass(20.5);
      await send(server.url, 'ben', third);
      await tab.waitForMessage(third);
    }
    await until(() => proxy.count('GET /stream') > streams);
    await send(server.url, 'ben', 'during');
    await tab.waitForMessage('during');
    await tab.pass(NOT_READY);
    await send(server.url, 'ben', 'after');
    expect(await tab.waitForMessage('after')).toEqual([0, 1, 2, 'during', 'after']);
    expect(tab.status).toMatchObject({ state: 'live', transport: 'polling' });
  });

  test('polls of one tab tell the other tabs everything once, in order', async () => {
    const first = await openPolling({ recipient: 'cid' });
    const second = await ClientTab.live(context, proxy.origin, { recipient: 'cid' });
    expect(second.status).toMatchObject({ transport: 'polling', shared: true });
    for (let content = 0; content < 20; content++) await send(server.url, 'cid', content);
    const contents = Array.from({ length: 20 }, (_, index) => index);
    for (const tab of [first, second]) expect(await tab.waitForMessage(19)).toEqual(contents);
  });

  test('polls begin with the newest messages of all inboxes, as a stream does', async () => {
    for (const [recipient, content] of [
      ['dan', 1],
      ['room', 2],
      ['dan', 3],
      ['room', 4],
    ] as const) {
      await send(server.url, recipient, content);
    }
    const tab = await openPolling({ recipient: ['dan', 'room'], last: 3 });
    expect(tab.visit.contents).toEqual([2, 3, 4]);
    await send(server.url, 'room', 5);
    expect(await tab.waitForMessage(5)).toEqual([2, 3, 4, 5]);
  });

  test('polls that do not come through either are told as offline, and are tried again', async () => {
    const tab = await openPolling({ recipient: 'eva' });
    await until(() => proxy.count('GET /messages') > 1);
    proxy.mode = 'freeze';
    await tab.pass(40);
    await tab.waitForState('offline');
    proxy.mode = 'pass';
    await send(server.url, 'eva', 'meanwhile');
    // Only once, even for a frozen stream: if time went on passing, no try would have enough of it.
    await tab.pass(NOT_READY);
    expect(await tab.waitForMessage('meanwhile')).toEqual(['meanwhile']);
  });

  test.each(['while a poll is held', 'while a stream is tried again'])(
    'a connection that is closed leaves nothing behind %s',
    async (when) => {
      const address = `fay${when.length}`;
      const tab = await openPolling({ recipient: address });
      const devices = async (): Promise<number | undefined> => {
        const answer = await get(server.url, `/presence?recipient=${address}`);
        return (answer.body as Record<string, { devices: number }>)[address]?.devices;
      };
      // The stream that was given up may count as a device for a moment.
      await until(() => proxy.count('GET /messages') > 1);
      await until(async () => (await devices()) === 1);
      if (when.includes('tried')) {
        const streams = proxy.count('GET /stream');
        // In thirds, so that the held poll does not seem to be answered too late.
        for (const content of ['a new poll', 'another']) {
          await tab.pass(20);
          await send(server.url, address, content);
          await tab.waitForMessage(content);
        }
        await tab.pass(21);
        await until(() => proxy.count('GET /stream') > streams);
      }
      const statuses = tab.visit.status.length;
      await tab.run('connection.close()');
      await until(async () => (await devices()) === 0);
      const requests = proxy.requests.length;
      await tab.pass(120);
      await tab.pass(120);
      expect(await devices()).toBe(0);
      expect(proxy.requests).toHaveLength(requests);
      expect(tab.visit.status).toHaveLength(statuses);
    },
  );
});
