import { expect, test } from '@jest/globals';
import type { Dialog } from 'playwright-core';
import { get, send } from '../support/api.ts';
import { describeInBrowser, launchBrowserWithPageCache } from '../support/browser.ts';
import { ClientTab, type Outcome } from '../support/client-tab.ts';
import { pullAll } from '../support/pull.ts';
import { until } from '../support/until.ts';
import { withBrowser, withContext, withProxy, withServer } from '../support/with-browser.ts';

/** Leaves the clock of a page as it is. */
const AS_IS = '';
/** Makes time pass six times as fast for a page: it waits as long as usual, and the test does not. */
const FAST = `{
  const { now } = Date;
  const start = now();
  Date.now = () => start + (now() - start) * 6;
  for (const name of ['setTimeout', 'setInterval']) {
    const timer = globalThis[name];
    globalThis[name] = (callback, milliseconds) => timer(callback, milliseconds / 6);
  }
}`;
/** Makes the intervals of a page wait for a minute, like those of hidden tabs. */
const HIDDEN = `{
  const { setInterval } = globalThis;
  globalThis.setInterval = (callback, milliseconds) => setInterval(callback, Math.max(milliseconds, 60_000));
}`;
/** Records when the page is put away and shown again. */
const RECORD = `{
  globalThis.seen = [];
  for (const type of ['pagehide', 'pageshow'])
    addEventListener(type, ({ persisted }) => persisted && seen.push(type));
}`;

describeInBrowser('the tab that has the stream, or that sends', () => {
  const browser = withBrowser(launchBrowserWithPageCache);
  const server = withServer({ env: { HEARTBEAT_SECONDS: '1' } });
  const context = withContext(browser);
  const proxy = withProxy(server);

  async function devices(address: string): Promise<number | undefined> {
    const answer = await get(server.url, `/presence?recipient=${address}`);
    return (answer.body as Record<string, { devices: number }>)[address]?.devices;
  }

  /** Opens two tabs, of which the first has the stream, with scripts that run at their beginning. */
  async function pair(recipient: string, first: string, second: string): Promise<[ClientTab, ClientTab]> {
    const leader = await ClientTab.live(context, proxy.origin, { recipient }, first);
    const other = await ClientTab.live(context, proxy.origin, { recipient }, second);
    expect([leader.status?.shared, other.status?.shared]).toEqual([false, true]);
    return [leader, other];
  }

  const hasStream = (tab: ClientTab): Promise<void> =>
    until(() => tab.status?.shared === false && tab.status.state === 'live', 'the tab to have the stream');
  const isSharing = (tab: ClientTab): Promise<void> =>
    until(() => tab.status?.shared === true && tab.status.state === 'live', 'the tab to share the stream');

  /** Keeps a page busy, like an endless loop, until the service tells it to stop. */
  function hang(tab: ClientTab): () => Promise<void> {
    let isHanging = true;
    proxy.answer = ({ url }) =>
      url === '/hangs' ? { status: isHanging ? 200 : 404, body: 'waits' } : undefined;
    const hung = tab.page.evaluate(`(() => {
      for (;;) {
        const request = new XMLHttpRequest();
        request.open('GET', '/hangs', false);
        request.send();
        if (request.status === 404) return;
        for (const end = performance.now() + 50; performance.now() < end; );
      }
    })()`);
    return async () => {
      isHanging = false;
      await hung;
    };
  }

  test('a page that is put away gives the stream to another tab, and shares again when it is shown again', async () => {
    const [leader, other] = await pair('ann', RECORD, AS_IS);
    await leader.page.goto(`${proxy.origin}/readyz`);
    await hasStream(other);
    await send(server.url, 'ann', 'while away');
    expect(await other.waitForMessage('while away')).toEqual(['while away']);
    await until(async () => (await devices('ann')) === 1);
    await leader.page.goBack({ waitUntil: 'commit' });
    expect(await leader.waitForMessage('while away')).toEqual(['while away']);
    await isSharing(leader);
    expect(await leader.run('seen')).toEqual(['pagehide', 'pageshow']);
    await send(server.url, 'ann', 'after');
    for (const tab of [leader, other])
      expect(await tab.waitForMessage('after')).toEqual(['while away', 'after']);
    expect(await devices('ann')).toBe(1);
  });

  test('the only tab closes the stream when its page is put away, and has it again when it is shown again', async () => {
    const tab = await ClientTab.live(context, proxy.origin, { recipient: 'bea' }, RECORD);
    await tab.page.goto(`${proxy.origin}/readyz`);
    await until(async () => (await devices('bea')) === 0);
    await send(server.url, 'bea', 'while away');
    await tab.page.goBack({ waitUntil: 'commit' });
    expect(await tab.waitForMessage('while away')).toEqual(['while away']);
    await hasStream(tab);
    expect(await tab.run('seen')).toEqual(['pagehide', 'pageshow']);
  });

  test.each(['event-source', 'fetch', 'polling'])(
    'a tab that is loaded again gives the connection (%s) to another, which is not told that the service is gone',
    async (transport) => {
      const options = { recipient: `bea-${transport}`, transport };
      const leader = await ClientTab.live(context, proxy.origin, options, AS_IS);
      const other = await ClientTab.live(context, proxy.origin, options, AS_IS);
      const before = other.visit.status.length;
      await leader.reload(options);
      await until(() => other.status?.state === 'live' && !other.status.shared, 'the other tab has it');
      expect(other.visit.status.slice(before).filter(({ state }) => state === 'offline')).toEqual([]);
    },
  );

  test('a frozen tab gives the stream to another, and shares again when it is no longer frozen', async () => {
    const [leader, other] = await pair('cora', AS_IS, AS_IS);
    await leader.run("document.dispatchEvent(new Event('freeze'))");
    await hasStream(other);
    await until(async () => (await devices('cora')) === 1);
    await leader.run("document.dispatchEvent(new Event('resume'))");
    await isSharing(leader);
    expect(await devices('cora')).toBe(1);
  });

  test('a tab that hangs in a loop loses the stream to another, and shares again afterwards', async () => {
    const [leader, other] = await pair('dora', AS_IS, FAST);
    const stop = hang(leader);
    await send(server.url, 'dora', 'meanwhile');
    expect(await other.waitForMessage('meanwhile')).toEqual(['meanwhile']);
    await hasStream(other);
    await stop();
    await isSharing(leader);
    await until(async () => (await devices('dora')) === 1);
    await send(server.url, 'dora', 'after');
    for (const tab of [leader, other])
      expect(await tab.waitForMessage('after')).toEqual(['meanwhile', 'after']);
    // It waits for the lock again.
    await other.close();
    await hasStream(leader);
  });

  test('a tab that shows a dialog loses the stream to another, and shares again afterwards', async () => {
    const [leader, other] = await pair('edna', AS_IS, FAST);
    let dialog: Dialog | undefined;
    leader.page.on('dialog', (shown) => (dialog = shown));
    const shown = leader.page.evaluate("void alert('look')");
    await send(server.url, 'edna', 'meanwhile');
    expect(await other.waitForMessage('meanwhile')).toEqual(['meanwhile']);
    await hasStream(other);
    await dialog?.accept();
    await shown;
    expect(await leader.waitForMessage('meanwhile')).toEqual(['meanwhile']);
    await isSharing(leader);
    await until(async () => (await devices('edna')) === 1);
  });

  test('a tab whose timers wait, as those of a hidden tab do, keeps the stream: it answers when it is asked', async () => {
    const [leader, other] = await pair('fay', HIDDEN, FAST);
    // The stream is silent for longer than a tab may be.
    await other.run(`{
      globalThis.asked = 0;
      const { postMessage } = BroadcastChannel.prototype;
      BroadcastChannel.prototype.postMessage = function (said) {
        asked += Number(said.asks === true);
        postMessage.call(this, said);
      };
    }`);
    await leader.run(`{
      const { postMessage } = BroadcastChannel.prototype;
      BroadcastChannel.prototype.postMessage = function (said) {
        if (said.message?.kind !== 'frame') postMessage.call(this, said);
      };
    }`);
    await until(async () => Number(await other.run('asked')) > 1, 'it to be asked');
    expect([leader.status?.shared, other.status?.shared]).toEqual([false, true]);
    expect(leader.visit.status.filter(({ state }) => state === 'live')).toHaveLength(1);
  });

  test('a tab that lives may lose the stream at any time: each message is told once and in order', async () => {
    const tabs = await pair('gina', AS_IS, AS_IS);
    const thief = await ClientTab.open(context, proxy.origin, AS_IS);
    const contents = Array.from({ length: 60 }, (_, index) => index);
    const publishing = (async () => {
      for (const content of contents) await send(server.url, 'gina', content);
    })();
    for (let times = 0; times < 4; times++) {
      await tabs[0].waitForMessage(times * 10);
      await thief.run(`navigator.locks.query().then(({ held }) => {
        const { name } = held.find(({ name }) => name.endsWith(':tabs'));
        return navigator.locks.request(name, { steal: true }, () => undefined);
      })`);
    }
    await publishing;
    for (const tab of tabs) expect(await tab.waitForMessage(59)).toEqual(contents);
    await until(async () => (await devices('gina')) === 1);
    await until(() => tabs.filter(({ status }) => status?.shared === false).length === 1);
  });

  test('a tab that hangs gives its waiting messages to another to send, and is told what became of them', async () => {
    const [leader, other] = await pair('hope', AS_IS, FAST);
    proxy.answer = ({ method }) => (method === 'POST' ? { status: 503 } : undefined);
    const outcome = await leader.send('to-hope', 'one');
    await until(() => other.status?.waiting === 1 && proxy.count('POST') > 0);
    const stop = hang(leader);
    await until(async () => (await pullAll(server.url, 'to-hope')).length === 1, 'it to be sent');
    const after = await other.send('to-hope', 'two');
    expect((await after()).value).toMatchObject({ content: 'two' });
    await stop();
    expect((await outcome()).value).toMatchObject({ content: 'one' });
    expect((await pullAll(server.url, 'to-hope')).map(({ content }) => content)).toEqual(['one', 'two']);
  });

  test('a tab that lives may lose its sending to another at any time: everything is stored once and in order', async () => {
    const tabs = await pair('jane', AS_IS, AS_IS);
    const thief = await ClientTab.open(context, proxy.origin, AS_IS);
    const contents = Array.from({ length: 40 }, (_, index) => index);
    const outcomes: (() => Promise<Outcome>)[] = [];
    for (const content of contents) {
      outcomes.push(await (tabs[content % 2] as ClientTab).send('to-jane', content));
      if (content % 4 === 0)
        await thief.run(`navigator.locks.query().then(({ held }) =>
          Promise.all(held.filter(({ name }) => name.includes(':outbox:')).map(({ name }) =>
            navigator.locks.request(name, { steal: true }, () => undefined))))`);
    }
    for (const [content, outcome] of outcomes.entries())
      expect((await outcome()).value).toMatchObject({ content });
    const stored = (await pullAll(server.url, 'to-jane')).map(({ content }) => Number(content));
    for (const rest of [0, 1])
      expect(stored.filter((content) => content % 2 === rest)).toEqual(
        contents.filter((content) => content % 2 === rest),
      );
    expect(stored).toHaveLength(contents.length);
  });

  test('a tab stops sending when another has taken that over', async () => {
    const tab = await ClientTab.live(context, proxy.origin, { recipient: 'kate' }, FAST);
    const thief = await ClientTab.open(context, proxy.origin, AS_IS);
    proxy.answer = ({ method }) => (method === 'POST' ? { status: 503 } : undefined);
    await tab.send('to-kate', 'one');
    await until(() => proxy.count('POST') > 0);
    await thief.run(`navigator.locks.query().then(({ held }) => {
      const { name } = held.find(({ name }) => name.includes(':outbox:'));
      return new Promise((resolve) => {
        void navigator.locks.request(name, { steal: true }, () => {
          resolve();
          return new Promise(() => undefined);
        });
      });
    })`);
    // This request was on its way.
    await tab.run("fetch('/healthz').then((answer) => answer.text())");
    const posts = proxy.count('POST');
    // Longer than the wait before the next try, and shorter than the wait for a tab that is silent.
    await thief.run('new Promise((resolve) => setTimeout(resolve, 1500))');
    expect(proxy.count('POST')).toBe(posts);
    await until(() => proxy.count('POST') > posts, 'it to take the lock from one that is silent');
  });

  test('a page that is put away gives its waiting messages to another tab, and is told what became of them when it is back', async () => {
    const [leader, other] = await pair('ivy', RECORD, AS_IS);
    proxy.answer = ({ method }) => (method === 'POST' ? { status: 503 } : undefined);
    const outcome = await leader.send('to-ivy', 'one');
    await until(() => other.status?.waiting === 1 && proxy.count('POST') > 0);
    await leader.page.goto(`${proxy.origin}/readyz`);
    proxy.answer = () => undefined;
    await until(() => other.status?.waiting === 0);
    await leader.page.goBack({ waitUntil: 'commit' });
    expect((await outcome()).value).toMatchObject({ content: 'one' });
    expect(await leader.run('seen')).toEqual(['pagehide', 'pageshow']);
    expect(await pullAll(server.url, 'to-ivy')).toHaveLength(1);
  });
});
