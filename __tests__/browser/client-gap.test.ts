import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type { Browser, BrowserContext } from 'playwright-core';
import { get, send } from '../support/api.ts';
import { describeInBrowser, launchBrowser } from '../support/browser.ts';
import { ClientTab } from '../support/client-tab.ts';
import { copyDatabase, readNumber, withDatabase } from '../support/file.ts';
import { MeddlingProxy } from '../support/meddling-proxy.ts';
import { cleanUp, newFolder, Server } from '../support/server.ts';
import { until } from '../support/until.ts';

const TWO_DAYS = 2 * 86_400_000;
const OPTIONS = { recipient: 'bob' };
/** Seconds after which a stream that is not ready is given up. */
const NOT_READY = 6;

describeInBrowser('a log that no longer holds what a page missed', () => {
  let browser: Browser;
  let context: BrowserContext;
  beforeAll(async () => {
    browser = await launchBrowser();
  });
  beforeEach(async () => {
    context = await browser.newContext();
  });
  afterEach(async () => {
    await context.close();
    await cleanUp();
  });
  afterAll(() => browser.close());

  async function sendAll(origin: string, contents: readonly unknown[]): Promise<void> {
    for (const content of contents) await send(origin, 'bob', content);
  }

  /** Restarts a server after messages up to an id were purged for their age. */
  async function purge({ database, port }: Server, through: number): Promise<Server> {
    withDatabase(database, (file) =>
      file.prepare('UPDATE messages SET createdAt = createdAt - ? WHERE id <= ?').run(TWO_DAYS, through),
    );
    const server = await Server.start({ database, port, env: { RETENTION_DAYS: '1' } });
    const held = (): number => readNumber(database, 'SELECT count(*) FROM messages WHERE id <= ?', through);
    await until(() => held() === 0);
    return server;
  }

  /**
   * Starts a server. `lose` makes it lose its last messages, as if it was restored from a backup before them.
   */
  async function startLosing(
    held: readonly unknown[],
    lost: readonly unknown[],
  ): Promise<{ server: Server; lose: () => Promise<void> }> {
    const backup = join(newFolder(), 'backup.sqlite');
    const first = await Server.start();
    const { database, port } = first;
    await sendAll(first.url, held);
    await first.stop();
    copyDatabase(database, backup);
    const server = await Server.start({ database, port });
    await sendAll(server.url, lost);
    const lose = async (): Promise<void> => {
      await server.kill();
      copyDatabase(backup, database);
      await Server.start({ database, port });
    };
    return { server, lose };
  }

  test('a purge is told, and what is left is told after it', async () => {
    const first = await Server.start();
    const tab = await ClientTab.live(context, first.url, OPTIONS);
    await sendAll(first.url, ['told']);
    await tab.waitForMessage('told');
    await tab.page.goto('about:blank');
    await sendAll(first.url, ['purged', 'left']);
    await first.stop();
    await purge(first, 2);
    await tab.page.goto(`${first.url}/healthz`);
    await tab.connect(OPTIONS);
    expect(await tab.waitForMessage('left')).toEqual(['left']);
    expect(tab.visit.gap).toEqual([{ reason: 'purged', cursor: expect.stringMatching(/^1-/) }]);
    await tab.reload(OPTIONS);
    await tab.waitForState('live');
    expect(tab.visit.gap).toEqual([]);
  });

  test('a purge that a tab finds while it fetches what lies between is told to that tab alone, and nothing twice', async () => {
    const first = await Server.start();
    await sendAll(first.url, ['one', 'two', 'three', 'four']);
    await first.stop();
    const server = await purge(first, 2);
    const leader = await ClientTab.live(context, server.url, { ...OPTIONS, cursor: '3' });
    const other = await ClientTab.live(context, server.url, { ...OPTIONS, cursor: '1' });
    await sendAll(server.url, ['five']);
    expect(await leader.waitForMessage('five')).toEqual(['four', 'five']);
    expect(await other.waitForMessage('five')).toEqual(['three', 'four', 'five']);
    expect(other.visit.gap).toEqual([{ reason: 'purged', cursor: '1' }]);
    expect(leader.visit.gap).toEqual([]);
  });

  test('a purge that the tab with the stream finds repeats nothing for a tab that was told more', async () => {
    const first = await Server.start();
    await sendAll(first.url, ['one', 'two', 'three']);
    await first.stop();
    const server = await purge(first, 2);
    const proxy = await MeddlingProxy.listen(server.port);
    // The tab that will have the stream has none at first.
    proxy.answer = ({ url = '' }) => (url.startsWith('/stream') ? { status: 502 } : undefined);
    const behind = await ClientTab.open(context, proxy.origin);
    await behind.connect({ ...OPTIONS, cursor: '1' });
    const ahead = await ClientTab.open(context, proxy.origin);
    await ahead.connect({ ...OPTIONS, cursor: '3' });
    proxy.answer = () => undefined;
    await ahead.run('connection.reconnect()');
    await sendAll(server.url, ['four']);
    expect(await behind.waitForMessage('four')).toEqual(['three', 'four']);
    expect(await ahead.waitForMessage('four')).toEqual(['four']);
    expect(behind.visit.gap).toMatchObject([{ reason: 'purged' }]);
    expect(ahead.visit.gap).toEqual([]);
    await proxy.close();
  });

  test('a restore from an older backup is told to all tabs, and then all that the backup holds', async () => {
    const backup = join(newFolder(), 'backup.sqlite');
    const first = await Server.start();
    const { database, port } = first;
    await sendAll(first.url, ['one', 'two']);
    await first.stop();
    copyDatabase(database, backup);
    const second = await Server.start({ database, port });
    const tabs = [
      await ClientTab.live(context, second.url, OPTIONS),
      await ClientTab.live(context, second.url, OPTIONS),
    ];
    await sendAll(second.url, ['lost', 'lost as well', 'last']);
    for (const tab of tabs) await tab.waitForMessage('last');
    await second.kill();
    copyDatabase(backup, database);
    const third = await Server.start({ database, port });
    await sendAll(third.url, ['three']);
    await tabs[0]?.run('connection.reconnect()');
    const held = ['one', 'two', 'three', 'four'];
    for (const tab of tabs) await tab.waitForMessage('three');
    await sendAll(third.url, ['four']);
    for (const tab of tabs) {
      expect(await tab.waitForMessage('four')).toEqual(['lost', 'lost as well', 'last', ...held]);
      expect(tab.visit.gap.map(({ reason }) => reason)).toEqual(['restored']);
    }
    // The new position is stored.
    await tabs[0]?.reload(OPTIONS);
    await tabs[0]?.waitForState('live');
    expect(tabs[0]?.visit).toMatchObject({ gap: [], message: [] });
  });

  test('a restore from an older backup that polls find is told to all tabs, and then all that the backup holds', async () => {
    const { server, lose } = await startLosing(['one', 'two'], ['lost', 'lost as well']);
    const proxy = await MeddlingProxy.listen(server.port);
    proxy.mode = 'buffer';
    const tabs = [await ClientTab.open(context, proxy.origin), await ClientTab.open(context, proxy.origin)];
    const [polling, other] = tabs as [ClientTab, ClientTab];
    await polling.connect({ ...OPTIONS, cursor: '1' });
    await other.connect({ ...OPTIONS, cursor: '1' });
    await until(() => proxy.count('GET /stream') > 0);
    await polling.pass(NOT_READY);
    for (const tab of tabs) await tab.waitForMessage('lost as well');
    await lose();
    await sendAll(server.url, ['three']);
    await until(async () => {
      await polling.pass(NOT_READY);
      return polling.visit.contents.includes('three');
    });
    for (const tab of tabs) {
      expect(await tab.waitForMessage('three')).toEqual([
        'two',
        'lost',
        'lost as well',
        'one',
        'two',
        'three',
      ]);
      expect(tab.visit.gap.map(({ reason }) => reason)).toEqual(['restored']);
    }
    await proxy.close();
  });

  test('an older backup that still has the position of the tab with the stream is told to a tab that was told more', async () => {
    const { server, lose } = await startLosing(['one', 'two'], ['lost', 'lost as well']);
    const proxy = await MeddlingProxy.listen(server.port);
    // The tab that will have the stream has none at first.
    proxy.answer = ({ url = '' }) => (url.startsWith('/stream') ? { status: 502 } : undefined);
    const behind = await ClientTab.open(context, proxy.origin);
    await behind.connect({ ...OPTIONS, cursor: '2' });
    const { cursor } = (await get(server.url, '/messages?recipient=bob&before=latest')).body as {
      cursor: string;
    };
    const ahead = await ClientTab.open(context, proxy.origin);
    await ahead.connect({ ...OPTIONS, cursor });
    await lose();
    await sendAll(server.url, ['three', 'four', 'five']);
    proxy.answer = () => undefined;
    await ahead.run('connection.reconnect()');
    expect(await behind.waitForMessage('five')).toEqual(['three', 'four', 'five']);
    expect(await ahead.waitForMessage('five')).toEqual(['one', 'two', 'three', 'four', 'five']);
    expect(behind.visit.gap).toEqual([]);
    expect(ahead.visit.gap.map(({ reason }) => reason)).toEqual(['restored']);
    await proxy.close();
  });

  test('a purge that a tab finds which was told more than the one with the stream is told to both, with what is left', async () => {
    const first = await Server.start();
    await sendAll(first.url, ['one', 'two', 'three', 'four']);
    await first.stop();
    const server = await purge(first, 3);
    const proxy = await MeddlingProxy.listen(server.port);
    proxy.answer = ({ url = '' }) => (url.startsWith('/stream') ? { status: 502 } : undefined);
    const behind = await ClientTab.open(context, proxy.origin);
    await behind.connect({ ...OPTIONS, cursor: '1' });
    const ahead = await ClientTab.open(context, proxy.origin);
    await ahead.connect({ ...OPTIONS, cursor: '2' });
    proxy.answer = () => undefined;
    await ahead.run('connection.reconnect()');
    for (const tab of [behind, ahead]) {
      expect(await tab.waitForMessage('four')).toEqual(['four']);
      expect(tab.visit.gap.map(({ reason }) => reason)).toEqual(['purged']);
    }
    await proxy.close();
  });

  test('a tab that fetches a cursor of a log that is gone does not ask without end', async () => {
    const server = await Server.start();
    const proxy = await MeddlingProxy.listen(server.port);
    await sendAll(server.url, ['one']);
    const leader = await ClientTab.live(context, proxy.origin, OPTIONS);
    const requests = proxy.count('GET /messages');
    // This is what the tab with the stream said before the log was restored.
    await leader.run(`new BroadcastChannel(${JSON.stringify(`tidings:${proxy.origin}/:["bob"]:tabs`)}).postMessage({
      message: {
        kind: 'state', state: { state: 'live', transport: 'stream', detail: '' }, cursor: '99-gone', presence: [],
      },
    })`);
    await sendAll(server.url, ['two']);
    expect(await leader.waitForMessage('two')).toEqual(['two']);
    expect(proxy.count('GET /messages') - requests).toBeLessThan(3);
    await proxy.close();
  });

  test('a position that is not a cursor is told, and the page begins with the oldest message', async () => {
    const server = await Server.start();
    await sendAll(server.url, ['one', 'two']);
    const tab = await ClientTab.live(context, server.url, { ...OPTIONS, cursor: 'gibberish' });
    expect(await tab.waitForMessage('two')).toEqual(['one', 'two']);
    expect(tab.visit.gap.map(({ reason }) => reason)).toEqual(['unknown']);
  });
});
