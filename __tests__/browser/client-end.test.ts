import { expect, test } from '@jest/globals';
import { get, send } from '../support/api.ts';
import { describeInBrowser } from '../support/browser.ts';
import { ClientTab } from '../support/client-tab.ts';
import { pullAll } from '../support/pull.ts';
import { until } from '../support/until.ts';
import { withBrowser, withContext, withProxy, withServer } from '../support/with-browser.ts';

/** Returns how many locks of the client are held or requested. */
const LOCKS = `navigator.locks.query().then(({ held, pending }) =>
  [...held, ...pending].filter(({ name }) => name.startsWith('tidings:')).length)`;

describeInBrowser('a page that ends its connection', () => {
  const browser = withBrowser();
  const server = withServer();
  const context = withContext(browser);
  const proxy = withProxy(server);

  async function devices(address: string): Promise<number | undefined> {
    const answer = await get(server.url, `/presence?recipient=${address}`);
    return (answer.body as Record<string, { devices: number }>)[address]?.devices;
  }

  /** Closes the connection, and checks that nothing is left for as long as anything could still come. */
  async function expectNothingLeft(tab: ClientTab, address: string): Promise<void> {
    const requests = proxy.requests.length;
    await tab.run('connection.close()');
    const { message, event, status } = tab.visit;
    const told = [message.length, event.length, status.length];
    await until(async () => (await tab.run(LOCKS)) === 0);
    await until(async () => (await devices(address)) === 0);
    for (let times = 0; times < 4; times++) await tab.pass(120);
    await send(server.url, address, 'too late');
    await tab.run(`localStorage.setItem('tidings:${proxy.origin}/:outbox:x', '{}'), dispatchEvent(new Event('online')),
      dispatchEvent(new Event('offline')), document.dispatchEvent(new Event('visibilitychange'))`);
    await until(async () => (await devices(address)) === 0);
    expect(proxy.requests).toHaveLength(requests);
    expect([message.length, event.length, status.length]).toEqual(told);
    expect(tab.errors).toEqual([]);
  }

  test('a closed connection leaves no stream, no lock and no callback', async () => {
    const tab = await ClientTab.live(context, proxy.origin, { recipient: 'ann' });
    await expectNothingLeft(tab, 'ann');
    const late = await tab.call("send({ recipient: 'ann', content: 'too late' })");
    expect(late.error?.message).toBe('the connection is closed');
    await tab.run("connection.watch(['bob']), connection.reconnect()");
    await expectNothingLeft(tab, 'ann');
  });

  test('a connection that is closed while it waits to try again leaves nothing', async () => {
    const tab = await ClientTab.live(context, proxy.origin, { recipient: 'ben' });
    await proxy.down();
    await tab.waitForState('offline');
    // Closed first: a try that is due between the count of the requests and the close would be one more.
    await tab.run('connection.close()');
    await proxy.up();
    await expectNothingLeft(tab, 'ben');
  });

  test('a connection that is closed in a callback tells nothing more', async () => {
    const leader = await ClientTab.live(context, proxy.origin, { recipient: 'cid' });
    for (const content of [1, 2, 3]) await send(server.url, 'cid', content);
    await leader.waitForMessage(3);
    // It fetches a page of messages.
    const tab = await ClientTab.open(context, proxy.origin);
    const closing = "{ onMessage: (message) => { note('message', message); connection.close(); } }";
    await tab.connect({ recipient: 'cid', cursor: '0' }, closing);
    expect(await tab.waitForMessage(1)).toEqual([1]);
    // The cursor has the mark of the page's log.
    const cursor = String(await tab.run('connection.cursor'));
    expect(cursor).toMatch(new RegExp(`^${tab.visit.ids[0]}-\\w`));
    await leader.run('connection.close()');
    await expectNothingLeft(tab, 'cid');
  });

  test('a tab with the stream that closes it in a callback has been told that message, and is not told it again', async () => {
    const options = { recipient: 'hal' };
    const tab = await ClientTab.open(context, proxy.origin);
    await tab.connect(
      options,
      "{ onMessage: (message) => { note('message', message); connection.close(); } }",
    );
    await tab.waitForState('live');
    await send(server.url, 'hal', 'the last');
    await tab.waitForMessage('the last');
    await send(server.url, 'hal', 'the next');
    await tab.reload(options);
    expect(await tab.waitForMessage('the next')).toEqual(['the next']);
  });

  test('messages that were sent before the connection was closed are stored, and their promises resolve', async () => {
    const tab = await ClientTab.live(context, proxy.origin, { recipient: 'dan' });
    proxy.answer = ({ method }) => (method === 'POST' ? { status: 503 } : undefined);
    const outcome = await tab.send('to-dan', 'before the end');
    await until(() => proxy.count('POST') > 0);
    await tab.run('connection.close()');
    proxy.answer = () => undefined;
    await tab.pass(30);
    expect((await outcome()).value).toMatchObject({ content: 'before the end' });
    expect(await pullAll(server.url, 'to-dan')).toHaveLength(1);
    await expectNothingLeft(tab, 'dan');
  });

  test('a closed connection leaves the other tabs to one of them', async () => {
    const tab = await ClientTab.live(context, proxy.origin, { recipient: 'eva' });
    const other = await ClientTab.live(context, proxy.origin, { recipient: 'eva' });
    await tab.run('connection.close()');
    await send(server.url, 'eva', 'after');
    expect(await other.waitForMessage('after')).toEqual(['after']);
    await until(() => other.status?.shared === false);
    // The service sees the end of the first stream on another connection, maybe later.
    await until(async () => (await devices('eva')) === 1);
  });

  test('a page may connect again, as often as it likes', async () => {
    const tab = await ClientTab.live(context, proxy.origin, { recipient: 'fay' });
    for (let times = 0; times < 5; times++) {
      await tab.run('connection.close()');
      await tab.connect({ recipient: 'fay' });
    }
    await tab.waitForState('live');
    await (
      await tab.send('fay', 'once')
    )();
    await tab.waitForMessage('once');
    expect(tab.visits.map(({ contents }) => contents)).toEqual([[], [], [], [], [], ['once']]);
    await until(async () => (await devices('fay')) === 1);
  });

  test('callbacks that throw break nothing', async () => {
    const throwing = ['Message', 'Event', 'Status', 'Gap', 'Frame', 'Refused'].map(
      (name) => `on${name}: (value) => {
        ${name === 'Message' ? "note('message', value);" : ''} throw new Error('from on${name}');
      }`,
    );
    const tab = await ClientTab.open(context, proxy.origin);
    for (const content of [1, 2]) await send(server.url, 'gus', content);
    await tab.connect(
      { recipient: 'gus', cursor: 'gibberish', presence: ['gus'] },
      `{ ${throwing.join(',')} }`,
    );
    expect(await tab.waitForMessage(2)).toEqual([1, 2]);
    expect((await tab.call("send({ recipient: '$system', content: 0 })")).error?.status).toBe(400);
    expect((await tab.call("send({ recipient: 'gus', content: 3 })")).value).toBeDefined();
    expect(await tab.waitForMessage(3)).toEqual([1, 2, 3]);
    await until(() => new Set(tab.errors).size === throwing.length);
  });
});
