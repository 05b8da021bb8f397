import { describe, expect, test } from '@jest/globals';
import { send } from '../support/api.ts';
import { describeInBrowser } from '../support/browser.ts';
import { ChatPage } from '../support/chat-page.ts';
import { ClientTab } from '../support/client-tab.ts';
import { Firefox, HAS_FIREFOX } from '../support/firefox.ts';
import { pullAll } from '../support/pull.ts';
import { until } from '../support/until.ts';
import { withBrowser, withContext, withProxy, withServer } from '../support/with-browser.ts';

const REFUSE = `const refuse = () => { throw new DOMException('The operation is insecure.', 'SecurityError'); };`;
const NO_STORAGE = `for (const name of ['localStorage', 'sessionStorage'])
  Object.defineProperty(window, name, { get: refuse });`;
/** Scripts that forbid a page its storage as browsers do. */
const FORBIDDEN: readonly [string, string][] = [
  [
    'storage is null',
    `for (const name of ['localStorage', 'sessionStorage']) Object.defineProperty(window, name, { value: null });`,
  ],
  [
    'storage, channels and locks throw',
    `{ ${REFUSE} ${NO_STORAGE} window.BroadcastChannel = class { constructor() { refuse(); } };
      LockManager.prototype.request = refuse; }`,
  ],
  [
    'storage throws and locks reject',
    `{ ${REFUSE} ${NO_STORAGE} LockManager.prototype.request = async () => refuse(); }`,
  ],
  [
    'storage throws when it is used',
    `{ ${REFUSE}
    for (const name of ['getItem', 'setItem', 'removeItem']) Storage.prototype[name] = refuse; }`,
  ],
];
const FILL = `(() => {
  for (let size = 5_000_000; size > 0; size >>= 1) {
    try {
      for (let index = 0; ; index++) localStorage.setItem(\`full\${size}-\${index}\`, 'x'.repeat(size));
    } catch {}
  }
})()`;
const IS_PERSISTENT = "import('/client/storage.js').then(({ storage }) => storage.isPersistent)";
const testInFirefox = HAS_FIREFOX ? test : test.skip;

describeInBrowser('the browser’s storage', () => {
  const browser = withBrowser();
  const server = withServer();
  const context = withContext(browser);
  const proxy = withProxy(server);

  const stored = async (address: string): Promise<unknown[]> =>
    (await pullAll(server.url, address)).map(({ content }) => content);

  describe.each(FORBIDDEN)('is not needed: if %s', (_name, script) => {
    test('two tabs send without the storage, and are told each message once', async () => {
      const address = `shut ${script.length}`;
      const tabs: ClientTab[] = [];
      for (let tab = 0; tab < 2; tab++)
        tabs.push(await ClientTab.live(context, proxy.origin, { recipient: address }, script));
      for (const [index, tab] of tabs.entries())
        expect((await (await tab.send(address, index))()).value).toMatchObject({ content: index });
      for (const tab of tabs) {
        expect(await tab.waitForMessage(1)).toEqual([0, 1]);
        expect(await tab.run(IS_PERSISTENT)).toBe(false);
        expect(tab.errors).toEqual([]);
      }
      expect(await stored(address)).toEqual([0, 1]);
    });

    test('the chat page opens, sends and is told everything without the storage', async () => {
      await context.addInitScript(script);
      const page = await ChatPage.open(context, server.url, 'sam');
      await page.turnTo(`tom ${script.length}`);
      await page.send('hello');
      await page.isIn('stored', 'hello');
      await page.turnTo(`room-${script.length}`);
      await page.send('all');
      await page.isIn('stored', 'all');
      expect(page.errors).toEqual([]);
    });
  });

  testInFirefox.each([
    ['all cookies are blocked', { 'network.cookie.cookieBehavior': 2 }],
    ['storage is turned off', { 'dom.storage.enabled': false }],
  ])('the storage is not needed in Firefox if %s', async (name, preferences) => {
    const firefox = await Firefox.launch(preferences);
    const evaluate = await firefox.open(`${server.url}/client.js`);
    const told = await evaluate(`(async () => {
      const { connect } = await import('/client.js');
      const { storage } = await import('/client/storage.js');
      let tell;
      const told = new Promise((resolve) => (tell = resolve));
      const connection = connect({ recipient: '${name}', onMessage: ({ content }) => tell(content) });
      while (connection.status.state !== 'live') await new Promise((resolve) => setTimeout(resolve, 10));
      const sent = await connection.send({ recipient: '${name}', content: 'hi' });
      return JSON.stringify([sent.content, await told, storage.isPersistent]);
    })()`);
    expect(JSON.parse(told)).toEqual(['hi', 'hi', false]);
    await firefox.close();
  });

  test('the storage may be full: what is sent is stored, what comes is told, and the status says that nothing is kept', async () => {
    const tab = await ClientTab.live(context, proxy.origin, { recipient: 'ann' });
    await tab.run(FILL);
    proxy.answer = ({ method }) => (method === 'POST' ? { status: 503 } : undefined);
    const sent = await tab.send('ann', 'no room for this');
    await until(() => tab.status?.waiting === 1);
    expect(await tab.run('connection.outbox.map(({ content }) => content)')).toEqual(['no room for this']);
    expect(await tab.run(IS_PERSISTENT)).toBe(false);
    await send(server.url, 'ann', 'incoming');
    expect(await tab.waitForMessage('incoming')).toEqual(['incoming']);
    proxy.answer = () => undefined;
    await tab.pass(30);
    expect((await sent()).value).toMatchObject({ content: 'no room for this' });
    await tab.waitForMessage('no room for this');
    // There is room again.
    await tab.run(
      "Object.keys(localStorage).forEach((name) => name.startsWith('full') && localStorage.removeItem(name))",
    );
    expect((await tab.call("send({ recipient: 'ann', content: 'room' })")).value).toBeDefined();
    await tab.waitForMessage('room');
    await until(async () => (await tab.run(IS_PERSISTENT)) === true);
    await tab.reload({ recipient: 'ann' });
    expect(tab.visit.start).toMatch(new RegExp(`^${tab.visits[0]?.ids.at(-1)}-`));
  });

  test('the storage may be full when the chat page signs in: it works, and the room is joined for as long as it is open', async () => {
    const filler = await ClientTab.open(context, server.url);
    await filler.run(FILL);
    const page = await ChatPage.open(context, server.url, 'una');
    await page.turnTo('room-full');
    await page.send('all');
    await page.isIn('stored', 'all');
    expect(page.errors).toEqual([]);
  });

  test.each([
    ['the page itself', (tab: ClientTab) => tab],
    ['another tab', (_tab: ClientTab, other: ClientTab) => other],
  ])(
    'the storage may be cleared by %s while messages wait: they are put back and stored once, in order',
    async (who, clearing) => {
      const recipient = `cleared by ${who}`;
      const tab = await ClientTab.live(context, proxy.origin, { recipient });
      const other = await ClientTab.open(context, proxy.origin);
      proxy.answer = ({ method }) => (method === 'POST' ? { status: 503 } : undefined);
      const outcomes = [await tab.send(recipient, 1), await tab.send(recipient, 2)];
      await until(() => proxy.count('POST') > 0);
      await clearing(tab, other).run('localStorage.clear()');
      await until(async () => {
        await tab.pass(1);
        return (await tab.run('connection.outbox.length')) === 2;
      });
      proxy.answer = () => undefined;
      await tab.pass(30);
      for (const [index, outcome] of outcomes.entries())
        expect((await outcome()).value).toMatchObject({ content: index + 1 });
      expect(await stored(recipient)).toEqual([1, 2]);
      expect(await tab.run('Object.keys(localStorage).filter((name) => name.includes("outbox"))')).toEqual(
        [],
      );
    },
  );

  test('removing the names of one service from the storage leaves what others store', async () => {
    const tab = await ClientTab.open(context, proxy.origin);
    const names = await tab.run(`import('/client/storage.js').then(({ storage }) => {
      for (const name of ['a:1', 'a:2', 'b:1']) storage.set(name, name);
      storage.clear('a:');
      return [Object.keys(localStorage), storage.names('a:'), storage.get('b:1')];
    })`);
    expect(names).toEqual([['b:1'], [], 'b:1']);
  });

  test('the position that an earlier version stored is used, and its waiting messages are stored once', async () => {
    const recipient = 'eve';
    const { id } = await send(server.url, recipient, 'before');
    await send(server.url, recipient, 'since');
    const tab = await ClientTab.open(context, proxy.origin);
    const entry = { sender: recipient, recipient: 'to-eve', content: 'left', idempotencyKey: 'an-old-key' };
    await send(server.url, 'to-eve', 'left', { sender: recipient, idempotencyKey: 'an-old-key' });
    await tab.run(`localStorage.setItem('tidings:' + location.origin + '/:["eve"]:cursor', '${id}'),
      localStorage.setItem('tidings:outbox:' + location.origin + '/:"eve":0000000000000001abcdefgh',
        ${JSON.stringify(JSON.stringify(entry))}),
      localStorage.setItem('tidings:outbox:' + location.origin + '/:"eve":0000000000000002abcdefgh',
        ${JSON.stringify(JSON.stringify({ ...entry, content: 'next', idempotencyKey: 'another' }))})`);
    await tab.connect({ recipient });
    expect((await tab.waitForMessage('since'))[0]).toBe('since');
    await until(async () => (await stored('to-eve')).length === 2);
    await until(() => tab.status?.waiting === 0);
    expect(await stored('to-eve')).toEqual(['left', 'next']);
    expect(await tab.run('Object.keys(localStorage).filter((name) => name.includes("outbox"))')).toEqual([]);
  });
});
