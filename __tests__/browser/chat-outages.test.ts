import { afterEach, expect, test } from '@jest/globals';
import { get, publish, send, type WireMessage } from '../support/api.ts';
import { describeInBrowser } from '../support/browser.ts';
import { ChatPage } from '../support/chat-page.ts';
import { Gate } from '../support/gate.ts';
import { cleanUp, Server } from '../support/server.ts';
import { until } from '../support/until.ts';
import { withFreshPages } from '../support/with-browser.ts';

describeInBrowser('a chat that is interrupted', () => {
  const browser = withFreshPages();
  afterEach(cleanUp);

  const open = async (server: Server, name: string, peer: string): Promise<ChatPage> =>
    ChatPage.open(await browser.newContext(), server.url, name, { peer });

  /** Returns the messages of the conversation in the log. */
  async function held(server: Server): Promise<unknown[]> {
    const answer = await get(server.url, '/messages?between=alice&between=bob&limit=1000');
    const { messages } = answer.body as { messages: WireMessage[] };
    return messages.filter(({ type }) => type === 'message').map(({ content }) => content);
  }

  test('messages that are written during a crash of the service wait, and then are on all devices once', async () => {
    const first = await Server.start();
    const { database, port } = first;
    const alice = await open(first, 'alice', 'bob');
    const bobs = [await open(first, 'bob', 'alice'), await open(first, 'bob', 'alice')];
    await alice.send('before');
    for (const bob of bobs) await bob.shows('before');
    await first.kill();
    await alice.state('offline');
    await alice.send('meanwhile 1');
    await alice.send('meanwhile 2');
    await alice.isIn('waiting', 'meanwhile 2');
    await until(async () => /^Offline: .* · 2 waiting to be sent$/.test(await alice.banner.innerText()));

    const second = await Server.start({ database, port });
    for (const page of [alice, ...bobs]) {
      await page.connectAnew();
      await page.live();
      await page.shows('before', 'meanwhile 1', 'meanwhile 2');
    }
    await until(async () => (await alice.banner.innerText()) === 'Live');
    await alice.isIn('read', 'meanwhile 2');
    await bobs[0]?.send('after');
    await alice.shows('before', 'meanwhile 1', 'meanwhile 2', 'after');
    expect(await held(second)).toEqual(['before', 'meanwhile 1', 'meanwhile 2', 'after']);
    for (const { errors } of [alice, ...bobs]) expect(errors).toEqual([]);
  });

  test('messages that both sides write while one browser is offline are on both sides afterwards', async () => {
    const server = await Server.start();
    const [alice, bob] = [await open(server, 'alice', 'bob'), await open(server, 'bob', 'alice')];
    await bob.send('hello');
    await alice.shows('hello');
    await alice.page.context().setOffline(true);
    await alice.state('offline');
    // The stream may break before the browser tells the page why.
    await until(async () => (await alice.banner.innerText()).startsWith('Offline: this machine is offline'));
    await alice.send('from the train');
    await alice.isIn('waiting', 'from the train');
    await bob.send('are you there?');
    await bob.isIn('stored', 'are you there?');

    await alice.page.context().setOffline(false);
    await alice.live();
    for (const page of [alice, bob]) {
      await until(async () => (await page.texts()).length === 3);
      expect(new Set(await page.texts())).toEqual(new Set(['hello', 'from the train', 'are you there?']));
    }
    await bob.isIn('read', 'are you there?');
    expect(await alice.texts()).toEqual(await held(server));
    expect(await bob.texts()).toEqual(await held(server));
  });

  test('messages that wait are there again after a reload, and are sent once', async () => {
    const server = await Server.start();
    const alice = await open(server, 'alice', 'bob');
    await alice.page.route('**/messages', (route) =>
      route.request().method() === 'POST' ? route.abort() : route.continue(),
    );
    await alice.send('kept over a reload');
    await alice.isIn('waiting', 'kept over a reload');
    await alice.page.reload();
    await alice.live();
    await alice.isIn('waiting', 'kept over a reload');
    await alice.page.unroute('**/messages');
    await alice.isIn('stored', 'kept over a reload');
    await alice.shows('kept over a reload');
    expect(await held(server)).toEqual(['kept over a reload']);
  });

  test('a reload in the middle of a replay loses nothing and repeats nothing', async () => {
    const first = await Server.start();
    const { database, port } = first;
    const bob = await open(first, 'bob', 'alice');
    const texts = Array.from({ length: 40 }, (_, index) => `message ${index}`);
    await send(first.url, 'bob', 'before', { sender: 'alice' });
    await bob.shows('before');
    await first.kill();
    await bob.state('offline');

    const elsewhere = await Server.start({ database });
    const batch = [
      ...Array.from({ length: 960 }, () => ({
        sender: 'carol',
        recipient: 'bob',
        content: 'x'.repeat(5000),
      })),
      ...texts.map((content) => ({ sender: 'alice', recipient: 'bob', content })),
    ];
    for (const part of [batch.slice(0, 700), batch.slice(700)]) {
      expect((await publish(elsewhere.url, part)).status).toBe(201);
    }
    await elsewhere.stop();

    const again = await Server.start({ database, port });
    await bob.connectAnew();
    await until(async () => /catching-up|live/.test((await bob.banner.getAttribute('data-state')) ?? ''));
    await bob.page.reload();
    await bob.live();
    await bob.unread('carol', 960);
    // If the reload came late, these are read already; else the page opens at the first of them.
    await bob.log.evaluate(
      (box: { scrollTop: number; scrollHeight: number }) => void (box.scrollTop = box.scrollHeight),
    );
    await bob.unread('alice', 0);
    await bob.shows('before', ...texts);
    await send(again.url, 'bob', 'after', { sender: 'alice' });
    await bob.shows('before', ...texts, 'after');
    expect(bob.errors).toEqual([]);
  });

  test('a message that is stored while the stream does not come back stays in sight', async () => {
    const server = await Server.start();
    const alice = await open(server, 'alice', 'bob');
    await alice.page.route('**/stream?*', (route) => route.abort());
    await alice.connectAnew();
    await alice.state('offline');
    await alice.send('on its way');
    await alice.isIn('stored', 'on its way');
    await alice.page.unroute('**/stream?*');
    await alice.connectAnew();
    await alice.live();
    await alice.send('behind it');
    await alice.shows('on its way', 'behind it');
  });

  test('a page that was interrupted before it could begin goes on at a press of the button', async () => {
    const server = await Server.start();
    const context = await browser.newContext();
    const gate = new Gate();
    let asked = 0;
    await context.route('**/conversations?*', async (route) => {
      if (++asked > 1) return route.continue();
      await gate.passed;
      return route.abort();
    });
    const alice = new ChatPage(await context.newPage());
    await alice.page.clock.install();
    await alice.page.goto(server.url);
    await alice.page.getByLabel('Your name').fill('alice');
    await alice.page.getByLabel('Your name').press('Enter');
    await until(() => asked === 1);
    // Time stops, so that no next try comes by itself. The clock cannot go back, and runs until then.
    await alice.page.clock.pauseAt(Number(await alice.page.evaluate('Date.now()')) + 5000);
    gate.open();
    await alice.state('offline');
    await alice.page.getByRole('button', { name: 'Try now' }).click();
    await until(() => asked === 2, 'another try');
    await alice.page.clock.resume();
    await alice.live();
  });

  test('the banner says how many messages the page has caught up with', async () => {
    const first = await Server.start();
    const { database, port } = first;
    const bob = await open(first, 'bob', 'alice');
    const said = await bob.page.evaluateHandle(() => {
      const texts: string[] = [];
      const line = document.getElementById('banner');
      const note = (): number => texts.push(line.textContent);
      new MutationObserver(note).observe(line, { childList: true });
      return texts;
    });
    await first.kill();
    await bob.state('offline');
    const elsewhere = await Server.start({ database });
    const batch = Array.from({ length: 900 }, () => ({
      sender: 'carol',
      recipient: 'bob',
      content: 'x'.repeat(3000),
    }));
    await publish(elsewhere.url, batch);
    await elsewhere.stop();
    await Server.start({ database, port });
    await bob.connectAnew();
    await bob.live();
    await bob.unread('carol', 900);
    expect(
      (await said.jsonValue()).filter((text) => /^Catching up( \(\d+\))?…$/.test(text)).length,
    ).toBeGreaterThan(0);
  });
});

/** For code that runs in the page: the browser has the real one. */
declare const document: { getElementById: (id: string) => { textContent: string } };
declare const MutationObserver: new (note: () => unknown) => {
  observe: (what: unknown, how: object) => void;
};
