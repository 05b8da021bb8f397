import { expect, test } from '@jest/globals';
import type { Route } from 'playwright-core';
import type { WireMessage } from '../support/api.ts';
import { describeInBrowser } from '../support/browser.ts';
import { ClientTab, type Outcome } from '../support/client-tab.ts';
import { pullAll } from '../support/pull.ts';
import { until } from '../support/until.ts';
import { withBrowser, withContext, withProxy, withServer } from '../support/with-browser.ts';

describeInBrowser('the outbox', () => {
  const browser = withBrowser();
  const server = withServer();
  const context = withContext(browser);
  const proxy = withProxy(server);

  /** Returns the messages of an inbox, in order. */
  async function stored(address: string): Promise<unknown[]> {
    return (await pullAll(server.url, address)).map(({ content }: WireMessage) => content);
  }

  test('the outbox sends in the order of sending, and resolves with the stored messages', async () => {
    const tab = await ClientTab.live(context, proxy.origin, { recipient: 'ann' });
    const contents = Array.from({ length: 20 }, (_, index) => index);
    const outcomes: (() => Promise<Outcome>)[] = [];
    for (const content of contents) outcomes.push(await tab.send('to-ann', content));
    for (const [content, outcome] of outcomes.entries()) {
      expect((await outcome()).value).toMatchObject({ sender: 'ann', recipient: 'to-ann', content });
    }
    expect(await stored('to-ann')).toEqual(contents);
    expect(tab.status?.waiting).toBe(0);
  });

  test('the outbox keeps over a reload what is sent offline, and stores it once and in order when online', async () => {
    const options = { recipient: 'ben' };
    const tab = await ClientTab.live(context, proxy.origin, options);
    await proxy.down();
    await tab.send('to-ben', 'one');
    await tab.send('to-ben', 'two');
    await until(() => tab.status?.waiting === 2);
    // The page itself can be loaded again, but what it sends is lost on the way.
    proxy.answer = ({ method, url }) =>
      method === 'POST' || url?.startsWith('/stream') === true ? { status: 502 } : undefined;
    await proxy.up();
    await tab.reload(options);
    const third = await tab.send('to-ben', 'three');
    expect(await tab.run('connection.outbox.map(({ content }) => content)')).toEqual(['one', 'two', 'three']);
    proxy.answer = () => undefined;
    await tab.pass(30);
    expect((await third()).value).toMatchObject({ content: 'three' });
    expect(await stored('to-ben')).toEqual(['one', 'two', 'three']);
    await until(() => tab.status?.waiting === 0);
  });

  test('the outbox keeps a message if something in between finds no service for it', async () => {
    const tab = await ClientTab.live(context, proxy.origin, { recipient: 'ada' });
    proxy.answer = ({ method }) => (method === 'POST' ? { status: 404, body: 'no such backend' } : undefined);
    const posts = proxy.count('POST');
    const sent = await tab.send('to-ada', 'one');
    await until(() => proxy.count('POST') > posts);
    proxy.answer = () => undefined;
    await tab.pass(30);
    expect((await sent()).value).toMatchObject({ content: 'one' });
    expect(tab.visit.refused).toEqual([]);
  });

  test('the outbox stores a message once if the answer was lost, even if the page was closed meanwhile', async () => {
    const options = { recipient: 'cid' };
    const tab = await ClientTab.live(context, proxy.origin, options);
    proxy.swallow(1);
    const first = await tab.send('to-cid', 'one');
    const second = await tab.send('to-cid', 'two');
    expect((await first()).value).toMatchObject({ content: 'one' });
    await second();
    expect(await stored('to-cid')).toEqual(['one', 'two']);

    proxy.swallow(1);
    const posts = proxy.count('POST');
    await tab.send('to-cid', 'three');
    await until(() => proxy.count('POST') > posts);
    await tab.close();
    const again = await ClientTab.live(context, proxy.origin, options);
    await (
      await again.send('to-cid', 'four')
    )();
    expect(await stored('to-cid')).toEqual(['one', 'two', 'three', 'four']);
  });

  test.each([
    { status: 502, body: 'Bad Gateway' },
    { status: 504, body: 'Gateway Timeout' },
    {
      status: 503,
      headers: { 'Content-Type': 'application/problem+json', 'Retry-After': '1' },
      body: '{"type":"/problems#unavailable","status":503,"detail":"It may have been stored.","stored":"unknown"}',
    },
  ])(
    'the outbox sends again with the same key what a $status leaves open, so that it is stored once',
    async (instead) => {
      const address = `leo${instead.status}`;
      const tab = await ClientTab.live(context, proxy.origin, { recipient: address });
      proxy.swallow(1, instead);
      const outcome = await tab.send(address, 'once');
      await until(() => proxy.count('POST') === 1);
      await tab.pass(30);
      expect((await outcome()).value).toMatchObject({ content: 'once' });
      expect(proxy.count('POST')).toBeGreaterThan(1);
      expect(await stored(address)).toEqual(['once']);
    },
  );

  test.each([
    { status: 429, headers: { 'Retry-After': '20' } },
    { status: 503, headers: { 'Retry-After': '20' } },
  ])('the outbox waits as long as a $status says, and then stores the message', async (answer) => {
    const address = `dan${answer.status}`;
    const tab = await ClientTab.live(context, proxy.origin, { recipient: address });
    await tab.stopClock();
    proxy.answer = ({ method }) => (method === 'POST' ? answer : undefined);
    const outcome = await tab.send(address, 'later');
    await until(() => proxy.count('POST') === 1);
    // The page has the answer, and the wait has begun.
    await tab.run("fetch('/healthz').then((answer) => answer.text())");
    await tab.pass(15);
    // Anything that it had sent by now would have come before this.
    await tab.run("fetch('/healthz').then((answer) => answer.text())");
    expect(proxy.count('POST')).toBe(1);
    proxy.answer = () => undefined;
    await tab.pass(10);
    expect((await outcome()).value).toMatchObject({ content: 'later' });
    expect(proxy.count('POST')).toBe(2);
  });

  test('the outbox takes a 200 that does not come from the service for no answer', async () => {
    const tab = await ClientTab.live(context, proxy.origin, { recipient: 'eva' });
    proxy.answer = ({ method }) =>
      method === 'POST' ? { status: 200, body: '<title>Sign in to this network</title>' } : undefined;
    const ephemeral = await tab.call("sendEphemeral({ recipient: 'eva', content: true })");
    expect(ephemeral.error?.name).toBe('Unreachable');
    const outcome = await tab.send('eva', 'kept');
    await until(() => proxy.count('POST') > 1);
    proxy.answer = () => undefined;
    await tab.pass(10);
    expect((await outcome()).value).toMatchObject({ content: 'kept' });
  });

  test('the outbox sends what several tabs give it at once, each message once, and answers each tab', async () => {
    const tabs: ClientTab[] = [];
    for (let tab = 0; tab < 4; tab++)
      tabs.push(await ClientTab.live(context, proxy.origin, { recipient: 'fay' }));
    proxy.swallow(3);
    const outcomes = await Promise.all(
      tabs.flatMap((tab, index) => [0, 1, 2].map((count) => tab.send('to-fay', `${index}-${count}`))),
    );
    const messages = await Promise.all(outcomes.map((outcome) => outcome()));
    expect(messages.filter(({ value }) => value === undefined)).toEqual([]);
    const contents = (await stored('to-fay')).map(String);
    expect(contents).toHaveLength(12);
    for (const index of [0, 1, 2, 3]) {
      const own = contents.filter((content) => content.startsWith(`${index}-`));
      expect(own).toEqual([0, 1, 2].map((count) => `${index}-${count}`));
    }
  });

  test('the outbox of a closed tab is sent by another that is open', async () => {
    const staying = await ClientTab.live(context, proxy.origin, { recipient: 'gus' });
    const leaving = await ClientTab.live(context, proxy.origin, { recipient: 'gus' });
    proxy.answer = ({ method }) => (method === 'POST' ? { status: 503 } : undefined);
    await leaving.send('to-gus', 'left behind');
    // The message is tried again by itself, more than once if the other tab sees it late.
    await until(() => staying.status?.waiting === 1 && proxy.count('POST') > 0);
    proxy.answer = () => undefined;
    await leaving.close();
    await until(async () => (await stored('to-gus')).length === 1);
    await until(() => staying.status?.waiting === 0);
  });

  test('the outbox of one sender leaves that of another alone, whose name begins with its own', async () => {
    proxy.answer = ({ method }) => (method === 'POST' ? { status: 503 } : undefined);
    const other = await ClientTab.live(context, proxy.origin, { recipient: 'hal:work' });
    await other.send('to-hal', 'from work');
    // Answered: a request still on its way would be stored when the proxy lets everything pass.
    await until(() => proxy.count('POST') > 0);
    await other.close();
    proxy.answer = () => undefined;
    const tab = await ClientTab.live(context, proxy.origin, { recipient: 'hal' });
    await (
      await tab.send('to-hal', 'from hal')
    )();
    expect(await stored('to-hal')).toEqual(['from hal']);
    const again = await ClientTab.live(context, proxy.origin, { recipient: 'hal:work' });
    await until(async () => (await stored('to-hal')).length === 2);
    expect(again.visit.refused).toEqual([]);
  });

  test('the outbox is sent as soon as the service is there again', async () => {
    const tab = await ClientTab.live(context, proxy.origin, { recipient: 'ida' });
    const later = { status: 503, headers: { 'Retry-After': '3600' } };
    proxy.answer = ({ method }) => (method === 'POST' ? later : undefined);
    const outcome = await tab.send('to-ida', 'soon');
    await until(() => proxy.count('POST') === 1);
    await tab.run("fetch('/healthz').then((answer) => answer.text())");
    proxy.answer = () => undefined;
    await proxy.down();
    await tab.waitForState('offline');
    await proxy.up();
    expect((await outcome()).value).toMatchObject({ content: 'soon' });
  });

  test('a message is tried again at once if the browser comes online while it is being sent, and that fails', async () => {
    const tab = await ClientTab.live(context, proxy.origin, { recipient: 'kai' });
    const held: Route[] = [];
    await tab.page.route('**/messages', async (route) => {
      if (held.length > 0) await route.continue();
      else held.push(route);
    });
    // The clock stands still, so no wait would end.
    await tab.stopClock();
    const outcome = await tab.send('to-kai', 'at once');
    await until(() => held.length === 1);
    const { length } = tab.visit.status;
    await tab.run("dispatchEvent(new Event('online'))");
    await until(() => tab.visit.status.slice(length).some(({ state }) => state === 'live'));
    await held[0]?.abort();
    expect((await outcome()).value).toMatchObject({ content: 'at once' });
  });
});
