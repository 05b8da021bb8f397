import { expect, test } from '@jest/globals';
import { describeInBrowser } from '../support/browser.ts';
import { ClientTab } from '../support/client-tab.ts';
import { pullAll } from '../support/pull.ts';
import { until } from '../support/until.ts';
import { withBrowser, withContext, withProxy, withServer } from '../support/with-browser.ts';

describeInBrowser('what cannot be sent', () => {
  const browser = withBrowser();
  const server = withServer();
  const context = withContext(browser);
  const proxy = withProxy(server);

  test('a message that cannot be sent is refused with the problem, is told, and holds up nothing behind it', async () => {
    const tab = await ClientTab.live(context, proxy.origin, { recipient: 'ann' });
    const first = await tab.call("send({ recipient: 'bob', content: 1, idempotencyKey: 'k' })");
    expect(first.value).toMatchObject({ content: 1 });
    const forbidden = { status: 403, body: '{"detail":"not yours"}' };
    const refused = [
      { call: "send({ recipient: '$system', content: 'system' })", status: 400, content: 'system' },
      { call: "send({ recipient: 'bob', content: 2, idempotencyKey: 'k' })", status: 422, content: 2 },
      { call: "send({ recipient: 'bob', content: 'x'.repeat(60_000) })", status: 413 },
      {
        call: "send({ recipient: 'bob', content: 'mine' })",
        status: 403,
        answer: forbidden,
        content: 'mine',
      },
    ];
    for (const { call, status, answer } of refused) {
      proxy.answer = ({ method }) => (method === 'POST' ? answer : undefined);
      const { error } = await tab.call(call);
      expect(error).toMatchObject({ name: 'Problem', status, message: expect.stringMatching(/\w/) });
    }
    expect(tab.visit.refused.map(({ status }) => status)).toEqual([400, 422, 413, 403]);
    expect(tab.visit.refused[1]?.content).toBe(2);
    proxy.answer = () => undefined;
    expect((await tab.call("send({ recipient: 'bob', content: 'after' })")).value).toBeDefined();
    expect((await pullAll(server.url, 'bob')).map(({ content }) => content)).toEqual([1, 'after']);
    expect(tab.status?.waiting).toBe(0);
  });

  test('a refused message of an earlier visit is told to the page', async () => {
    const options = { recipient: 'cid' };
    const tab = await ClientTab.live(context, proxy.origin, options);
    proxy.answer = ({ method }) => (method === 'POST' ? { status: 503 } : undefined);
    await tab.send('$system', 'of before');
    await until(() => proxy.count('POST') > 0);
    await tab.close();
    proxy.answer = () => undefined;
    const again = await ClientTab.live(context, proxy.origin, options);
    await until(() => again.visit.refused.length > 0);
    expect(again.visit.refused).toEqual([{ content: 'of before', status: 400 }]);
    expect(await again.run('connection.outbox')).toEqual([]);
  });

  test('a message that is not JSON is refused as such', async () => {
    const tab = await ClientTab.live(context, proxy.origin, { recipient: 'eva' });
    const { error } = await tab.call("send({ recipient: 'eva', content: 1n })");
    expect(error).toMatchObject({ name: 'TypeError', message: expect.stringContaining('BigInt') });
    expect(await tab.run('connection.outbox')).toEqual([]);
  });

  test('an entry that other code left in the storage holds up nothing', async () => {
    const tab = await ClientTab.live(context, proxy.origin, { recipient: 'fay' });
    const prefix = `tidings:${proxy.origin}/:outbox:"fay":`;
    await tab.run(`localStorage.setItem(${JSON.stringify(prefix)} + '0000000000000001abcdefgh', '{')`);
    expect((await tab.call("send({ recipient: 'fay', content: 'sent' })")).value).toBeDefined();
    expect(tab.status?.waiting).toBe(0);
  });
});
