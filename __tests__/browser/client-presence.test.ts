import { expect, test } from '@jest/globals';
import { get, publish } from '../support/api.ts';
import { describeInBrowser } from '../support/browser.ts';
import { ClientTab } from '../support/client-tab.ts';
import { DeviceStream } from '../support/stream.ts';
import { until } from '../support/until.ts';
import { withBrowser, withContext, withProxy, withServer } from '../support/with-browser.ts';

const OUTBOX = 'JSON.stringify(connection.outbox)';

describeInBrowser('what is told of others', () => {
  const browser = withBrowser();
  const server = withServer();
  const context = withContext(browser);
  const proxy = withProxy(server);

  /** Returns what a tab was told about the presence of addresses, such as `bob online`. */
  const told = (tab: ClientTab): string[] =>
    tab.visit.event
      .filter(({ type }) => type === 'presence')
      .map(({ recipient, online }) => `${String(recipient)} ${online === true ? 'online' : 'offline'}`);

  const waitToBeTold = (tab: ClientTab, what: string): Promise<void> =>
    until(() => told(tab).includes(what), `${what} in ${String(told(tab))}`);

  test('each tab is told whom it watches, once for each change, over one stream', async () => {
    const first = await ClientTab.live(context, proxy.origin, { recipient: 'ann', presence: ['ben'] });
    const second = await ClientTab.live(context, proxy.origin, { recipient: 'ann', presence: ['cid'] });
    const third = await ClientTab.live(context, proxy.origin, { recipient: 'ann', presence: ['ben'] });
    for (const [tab, line] of [
      [first, 'ben offline'],
      [second, 'cid offline'],
      [third, 'ben offline'],
    ] as const)
      await waitToBeTold(tab, line);
    await DeviceStream.open(server.url, 'recipient=ben&recipient=cid');
    for (const [tab, address] of [
      [first, 'ben'],
      [second, 'cid'],
      [third, 'ben'],
    ] as const) {
      await waitToBeTold(tab, `${address} online`);
      expect(told(tab)).toEqual([`${address} offline`, `${address} online`]);
    }
    // The service sees the ends of earlier streams on other connections, maybe later.
    await until(async () => {
      const answer = await get(server.url, '/presence?recipient=ann');
      return (answer.body as Record<string, { devices: number }>)['ann']?.devices === 1;
    });
  });

  test('a tab that begins to watch others is told of them, even if another tab watches them already', async () => {
    await DeviceStream.open(server.url, 'recipient=eva');
    const first = await ClientTab.live(context, proxy.origin, { recipient: 'dan', presence: ['eva'] });
    const second = await ClientTab.live(context, proxy.origin, { recipient: 'dan' });
    await waitToBeTold(first, 'eva online');
    const streams = proxy.count('GET /stream');
    await second.run("connection.watch(['eva'])");
    await waitToBeTold(second, 'eva online');
    expect(proxy.count('GET /stream')).toBe(streams);
    await second.run("connection.watch(['eva', 'fay'])");
    await waitToBeTold(second, 'fay offline');
    expect(proxy.count('GET /stream')).toBe(streams + 1);
    await first.run("connection.watch(['eva', 'fay'])");
    await waitToBeTold(first, 'fay offline');
    expect(proxy.count('GET /stream')).toBe(streams + 1);
    expect(told(first)).toEqual(['eva online', 'fay offline']);
    expect(told(second)).toEqual(['eva online', 'fay offline']);
  });

  test('a tab that takes over watches for all tabs', async () => {
    const first = await ClientTab.live(context, proxy.origin, { recipient: 'gus' });
    const second = await ClientTab.live(context, proxy.origin, { recipient: 'gus', presence: ['hal'] });
    const third = await ClientTab.live(context, proxy.origin, { recipient: 'gus', presence: ['ida'] });
    await waitToBeTold(third, 'ida offline');
    await first.close();
    await until(() => second.status?.shared === false);
    await second.waitForState('live');
    await second.run("connection.watch(['hal', 'jil'])");
    await waitToBeTold(second, 'jil offline');
    await DeviceStream.open(server.url, 'recipient=ida');
    await waitToBeTold(third, 'ida online');
    expect(told(second)).toEqual(['hal offline', 'jil offline']);
  });

  test('closed tabs no longer watch anybody, and leave room for others', async () => {
    const addresses = (letter: string): string[] =>
      Array.from({ length: 60 }, (_, index) => `${letter}${index}`);
    const first = await ClientTab.live(context, proxy.origin, { recipient: 'jon' });
    for (const letter of ['x', 'y', 'z']) {
      const presence = addresses(letter);
      const tab = await ClientTab.live(context, proxy.origin, { recipient: 'jon', presence });
      await until(() => told(tab).length === 60);
      await tab.close();
    }
    const stream = proxy.requests.findLast((one) => one.includes('/stream')) ?? '';
    const watched = new URL(proxy.origin + String(stream.split(' ')[1])).searchParams;
    expect(watched.getAll('presence')).toEqual(addresses('z'));
    expect(told(first)).toEqual([]);
  });

  test('events that are not stored are told to every tab once, and do not change the position', async () => {
    const tabs = [
      await ClientTab.live(context, proxy.origin, { recipient: 'kim' }),
      await ClientTab.live(context, proxy.origin, { recipient: 'kim' }),
    ];
    const other = await ClientTab.live(context, proxy.origin, { recipient: 'lea' });
    const cursor = await tabs[0]?.run('connection.cursor');
    const sent = await other.call("sendEphemeral({ recipient: 'kim', type: 'typing', content: true })");
    // One stream of the recipient, and one of the sender.
    expect(sent.value).toBe(2);
    for (const tab of tabs) {
      await until(() => tab.visit.event.length > 0);
      expect(tab.visit.event).toMatchObject([{ sender: 'lea', type: 'typing', content: true }]);
    }
    expect(await tabs[0]?.run('connection.cursor')).toBe(cursor);
    await proxy.down();
    const lost = await other.call("sendEphemeral({ recipient: 'kim', content: true })");
    expect(lost.error?.name).toBe('Unreachable');
  });

  test('read markers that could not be sent become one marker for all that were read', async () => {
    const batch = Array.from({ length: 9 }, (_, content) => ({ sender: 'ned', recipient: 'max', content }));
    const answer = await publish(server.url, batch);
    const ids = (answer.body as { id: number }[]).map(({ id }) => id);
    const tab = await ClientTab.live(context, proxy.origin, { recipient: 'max' });
    const other = await ClientTab.live(context, proxy.origin, { recipient: 'max' });
    proxy.answer = ({ method }) => (method === 'POST' ? { status: 503 } : undefined);
    const outcomes = [];
    // Other tabs read as well, and not always further.
    for (const [index, id] of [...ids, ...ids.slice(0, 3)].entries()) {
      outcomes.push(await (index % 2 === 0 ? tab : other).begin(`markRead('ned', ${id})`));
      // A tab sees later what another one puts into the storage.
      await until(async () => (await tab.run(OUTBOX)) === (await other.run(OUTBOX)));
    }
    await until(() => tab.status?.waiting === 2 && other.status?.waiting === 2);
    proxy.answer = () => undefined;
    // Both try again at once. If time passed, requests on their way would end as too late.
    await tab.run('connection.reconnect()');
    const markers = [];
    for (const outcome of outcomes) markers.push((await outcome()).value?.content);
    expect(markers[0]).toEqual({ messageId: ids[0] });
    for (const marker of markers.slice(1)) expect(marker).toEqual({ messageId: ids.at(-1) });
    const listed = await get(server.url, '/conversations?recipient=max');
    expect(listed.body).toMatchObject({
      conversations: [{ peer: 'ned', readThrough: ids.at(-1), unread: 0 }],
    });
  });

  test('a replaced read marker resolves with the last one, in whatever order the tabs hear of it', async () => {
    const batch = Array.from({ length: 4 }, (_, content) => ({ sender: 'ola', recipient: 'pia', content }));
    const answer = await publish(server.url, batch);
    const ids = (answer.body as { id: number }[]).map(({ id }) => id);
    const tab = await ClientTab.live(context, proxy.origin, { recipient: 'pia' });
    const late = await ClientTab.open(context, proxy.origin);
    // A tab sees what is in the storage before it hears about it.
    await late.run(`globalThis.BroadcastChannel = class extends BroadcastChannel {
      set onmessage(take) {
        super.onmessage = (event) => setTimeout(() => take(event), 1000);
      }
    }`);
    await late.connect({ recipient: 'pia' });
    await late.waitForState('live');
    proxy.answer = ({ method }) => (method === 'POST' ? { status: 503 } : undefined);
    const outcomes = [];
    for (const [index, id] of ids.entries()) {
      outcomes.push(await (index % 2 === 0 ? tab : late).begin(`markRead('ola', ${id})`));
      await until(async () => (await tab.run(OUTBOX)) === (await late.run(OUTBOX)));
    }
    proxy.answer = () => undefined;
    await tab.run('connection.reconnect()');
    const markers = [];
    for (const outcome of outcomes) markers.push((await outcome()).value?.content);
    const [first, ...replaced] = ids.map((messageId) => ({ messageId }));
    expect(markers).toEqual([first, ...replaced.map(() => replaced.at(-1))]);
  });
});
