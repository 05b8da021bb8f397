import { expect, test } from '@jest/globals';
import { send } from '../support/api.ts';
import { describeInBrowser, launchWithProfile } from '../support/browser.ts';
import { ClientTab } from '../support/client-tab.ts';
import { newFolder } from '../support/server.ts';
import { until } from '../support/until.ts';
import { withBrowser, withContext, withServer } from '../support/with-browser.ts';

describeInBrowser('a page that comes back', () => {
  const browser = withBrowser();
  const server = withServer();
  const context = withContext(browser);

  /** Waits until the position is stored too: the message is told first. */
  const kept = (tab: ClientTab): Promise<void> =>
    until(async () => {
      const cursor = await tab.run('connection.cursor');
      return (await tab.run(`Object.values(localStorage).includes(${JSON.stringify(cursor)})`)) === true;
    });

  test('a page that is loaded again is told what it missed, and nothing twice', async () => {
    const options = { recipient: 'ann' };
    const tab = await ClientTab.live(context, server.url, options);
    await send(server.url, 'ann', 'before');
    await tab.waitForMessage('before');
    await tab.page.goto('about:blank');
    await send(server.url, 'ann', 'meanwhile');
    await tab.page.goto(`${server.url}/healthz`);
    await tab.connect(options);
    await tab.waitForState('live');
    await send(server.url, 'ann', 'after');
    expect(await tab.waitForMessage('after')).toEqual(['meanwhile', 'after']);
    expect(tab.visit.gap).toEqual([]);
  });

  test.each(['first', 'second'])(
    'a tab whose work lags behind that of another goes on where it stopped itself, if it was opened %s',
    async (order) => {
      const options = { recipient: `lag-${order}` };
      const slow = await ClientTab.open(context, server.url);
      const fast = await ClientTab.open(context, server.url);
      const connectSlow = (): Promise<void> =>
        slow.connect(
          options,
          `{ onMessage: (message) => message.content === 'held' ? new Promise(() => {}) : note('message', message) }`,
        );
      const connectFast = (): Promise<void> => fast.connect(options);
      for (const connect of order === 'first' ? [connectSlow, connectFast] : [connectFast, connectSlow]) {
        await connect();
        await (slow.visits.length === 0 ? fast : slow).waitForState('live');
      }
      await fast.waitForState('live');
      for (const content of ['before', 'held', 'after']) await send(server.url, options.recipient, content);
      await fast.waitForMessage('after');
      expect(await slow.waitForMessage('before')).toEqual(['before']);
      await slow.reload(options);
      expect(await slow.waitForMessage('after')).toEqual(['held', 'after']);
      await fast.reload(options);
      await send(server.url, options.recipient, 'last');
      expect(await fast.waitForMessage('last')).toEqual(['last']);
      const visitor = await ClientTab.open(context, server.url);
      await visitor.connect(options);
      await send(server.url, options.recipient, 'for all');
      expect(await visitor.waitForMessage('for all')).toEqual(['for all']);
    },
  );

  test('a page whose process has crashed is told what it missed, and nothing twice', async () => {
    const options = { recipient: 'ben' };
    const tab = await ClientTab.live(context, server.url, options);
    await send(server.url, 'ben', 'before');
    await tab.waitForMessage('before');
    await tab.crash();
    await tab.close();
    await send(server.url, 'ben', 'meanwhile');
    const again = await ClientTab.live(context, server.url, options);
    await send(server.url, 'ben', 'after');
    expect(await again.waitForMessage('after')).toEqual(['meanwhile', 'after']);
  });

  test('a page whose browser was closed is told what it missed, with the same profile', async () => {
    const options = { recipient: 'cid' };
    const profile = newFolder();
    const first = await launchWithProfile(profile);
    const tab = await ClientTab.live(first, server.url, options);
    await send(server.url, 'cid', 'before');
    await tab.waitForMessage('before');
    await kept(tab);
    await first.close();
    await send(server.url, 'cid', 'meanwhile');
    const second = await launchWithProfile(profile);
    try {
      const again = await ClientTab.live(second, server.url, options);
      await send(server.url, 'cid', 'after');
      expect(await again.waitForMessage('after')).toEqual(['meanwhile', 'after']);
    } finally {
      await second.close();
    }
  });

  test('a page has a position for each set of inboxes, whatever their order', async () => {
    const tab = await ClientTab.live(context, server.url, { recipient: ['dan', 'room'] });
    await send(server.url, 'room', 'in both');
    await tab.waitForMessage('in both');
    await tab.reload({ recipient: ['room', 'dan'] });
    await tab.waitForState('live');
    await send(server.url, 'dan', 'after');
    expect(await tab.waitForMessage('after')).toEqual(['after']);
    await tab.reload({ recipient: 'room', last: 5 });
    expect(await tab.waitForMessage('in both')).toEqual(['in both']);
  });

  test('a page begins with the newest messages if it was never there, and at a cursor that it is given', async () => {
    const sent = [];
    for (const content of ['one', 'two', 'three']) sent.push(await send(server.url, 'eva', content));
    const tab = await ClientTab.live(context, server.url, { recipient: 'eva', last: 2 });
    expect(await tab.waitForMessage('three')).toEqual(['two', 'three']);
    await tab.reload({ recipient: 'eva', last: 2 });
    await tab.waitForState('live');
    expect(tab.visit.contents).toEqual([]);
    await tab.reload({ recipient: 'eva', cursor: String(sent[0]?.id) });
    expect(await tab.waitForMessage('three')).toEqual(['two', 'three']);
  });

  test('the status tells how many messages a page caught up with', async () => {
    const options = { recipient: 'fay' };
    const tab = await ClientTab.live(context, server.url, options);
    await send(server.url, 'fay', 'before');
    await tab.waitForMessage('before');
    await tab.page.goto('about:blank');
    for (let content = 0; content < 7; content++) await send(server.url, 'fay', content);
    await tab.page.goto(`${server.url}/healthz`);
    await tab.connect(options);
    await tab.waitForState('live');
    expect(tab.status?.caughtUp).toBe(7);
    expect(tab.visit.status.map(({ state }) => state)).toEqual(['connecting', 'catching-up', 'live']);
  });
});
