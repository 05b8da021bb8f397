/** Counts what the page does, which only Chromium tells. A time would say more about the machine. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Browser, CDPSession } from 'playwright-core';
import { publish, send } from '../support/api.ts';
import { describeInBrowser, launchChromium } from '../support/browser.ts';
import { ChatPage } from '../support/chat-page.ts';
import { cleanUp, Server } from '../support/server.ts';
import { until } from '../support/until.ts';

/**
 * More nodes than 150 messages, the conversations in view with 80 more, and 500 frames of the stream have.
 */
const MAX_NODES = 12_000;

/** The most messages that one request may publish. */
const MAX_BATCH = 1000;

const KEYS = 'the quick brown fox jumps';

/** A script that runs in the page, and counts there what its observers see. */
const COUNTERS = `
  globalThis.counted = { nodes: 0, rowChanges: 0, frame: 0, drawn: new Set() };
  const countNodes = () => {
    const nodes = document.createTreeWalker(document);
    let count = 1;
    while (nodes.nextNode() !== null) count++;
    counted.nodes = Math.max(counted.nodes, count);
  };
  countNodes();
  const everything = { subtree: true, childList: true, attributes: true, characterData: true };
  const rows = new MutationObserver((records) => (counted.rowChanges += records.length));
  for (const id of ['messages', 'conversations']) rows.observe(document.getElementById(id), everything);
  const frames = document.getElementById('frames');
  new MutationObserver((records) => {
    countNodes();
    if (records.some(({ target }) => !frames.contains(target))) counted.drawn.add(counted.frame);
  }).observe(document, everything);
  const nextFrame = () => requestAnimationFrame(() => { counted.frame++; nextFrame(); });
  nextFrame();
  globalThis.waitFrames = (count) => new Promise((resolve) => {
    const next = () => (count-- > 0 ? requestAnimationFrame(next) : resolve());
    next();
  });
`;

/** Scrolls up until the first message of the history is there. */
const SCROLL_TO_THE_BEGINNING = `new Promise((resolve) => {
  const box = document.getElementById('thread');
  const up = () => {
    box.scrollTop = 0;
    const [first] = document.querySelectorAll('#messages .text');
    if (first.textContent.startsWith('message 0 ')) resolve();
    else requestAnimationFrame(up);
  };
  up();
})`;

const TO_THE_END = `document.getElementById('to-end').click()`;

/** The counts of a period in which something was done. */
interface Counts {
  /** How often anything was laid out. */
  readonly layouts: number;
  /** How often styles were computed. */
  readonly styles: number;
  /** In how many frames anything changed, except in the drawer with the stream. */
  readonly drawn: number;
  /** How many changes the rows of messages and conversations had. */
  readonly rowChanges: number;
}

/** A page, and what Chromium counts of it. */
class CountedPage {
  readonly chat: ChatPage;
  readonly #debug: CDPSession;

  private constructor(chat: ChatPage, debug: CDPSession) {
    this.chat = chat;
    this.#debug = debug;
  }

  static async open(browser: Browser, url: string, me: string, peer: string): Promise<CountedPage> {
    const chat = await ChatPage.open(await browser.newContext(), url, me, { peer });
    await chat.log.locator('.message').first().waitFor();
    const debug = await chat.page.context().newCDPSession(chat.page);
    await debug.send('Performance.enable');
    await chat.page.evaluate(COUNTERS);
    return new CountedPage(chat, debug);
  }

  frames(count: number): Promise<void> {
    return this.chat.page.evaluate(`waitFrames(${count})`);
  }

  /**
   * Waits until the list of conversations has a text. Checking whether it is visible would cause a layout.
   */
  async lists(text: string): Promise<void> {
    const list = `document.getElementById('conversations').textContent`;
    await until(() => this.chat.page.evaluate<boolean>(`${list}.includes(${JSON.stringify(text)})`));
  }

  /** The most nodes that were in the document at any moment. */
  mostNodes(): Promise<number> {
    return this.chat.page.evaluate('counted.nodes');
  }

  /** The nodes that the page still holds, in the document or not. */
  async heldNodes(): Promise<number> {
    await this.#debug.send('HeapProfiler.collectGarbage');
    return (await this.#debug.send('Memory.getDOMCounters')).nodes;
  }

  async during(act: () => Promise<unknown>): Promise<Counts> {
    const before = await this.#read();
    await act();
    await this.frames(2);
    const after = await this.#read();
    const of = (key: keyof Counts): number => after[key] - before[key];
    return {
      layouts: of('layouts'),
      styles: of('styles'),
      drawn: of('drawn'),
      rowChanges: of('rowChanges'),
    };
  }

  /** Waits until nothing is done for a second, since the page has timers of its own. */
  async idle(): Promise<void> {
    const still: Counts = { layouts: 0, styles: 0, drawn: 0, rowChanges: 0 };
    let last: Counts | undefined;
    await until(async () => {
      last = await this.during(() => this.frames(60));
      return JSON.stringify(last) === JSON.stringify(still);
    }, 'a page that does nothing').catch((cause: unknown) => {
      throw new Error(`not idle: ${JSON.stringify(last)}`, { cause });
    });
  }

  async #read(): Promise<Counts> {
    const { metrics } = await this.#debug.send('Performance.getMetrics');
    const of = (name: string): number => metrics.find((metric) => metric.name === name)?.value ?? NaN;
    const seen = await this.chat.page.evaluate<{ drawn: number; rowChanges: number }>(
      '({ drawn: counted.drawn.size, rowChanges: counted.rowChanges })',
    );
    return { ...seen, layouts: of('LayoutCount'), styles: of('RecalcStyleCount') };
  }
}

describeInBrowser('the page', () => {
  let browser: Browser;
  let server: Server;
  const pages = new Map<string, CountedPage>();
  beforeAll(async () => {
    [browser, server] = await Promise.all([launchChromium(), Server.start()]);
  });
  afterAll(async () => {
    await (browser as Browser | undefined)?.close();
    await cleanUp();
  });

  async function publishAll(count: number, messageOf: (index: number) => object): Promise<void> {
    const all = Array.from({ length: count }, (_, index) => messageOf(index));
    for (let from = 0; from < count; from += MAX_BATCH)
      expect((await publish(server.url, all.slice(from, from + MAX_BATCH))).status).toBe(201);
  }

  /** The page of somebody with a history, opened once for all tests. */
  async function pageWith(messages: number, conversations: number): Promise<CountedPage> {
    const me = `reader of ${messages}`;
    const known = pages.get(me);
    if (known !== undefined) return known;
    const peers = (index: number): [string, string] => (index % 3 === 0 ? [me, 'bob'] : ['bob', me]);
    await publishAll(conversations, (index) => ({
      sender: `person ${index}`,
      recipient: me,
      content: `hello from ${index}`,
    }));
    await publishAll(messages, (index) => {
      const [sender, recipient] = peers(index);
      return { sender, recipient, content: `message ${index} ${'word '.repeat(index % 14)}` };
    });
    const page = await CountedPage.open(browser, server.url, me, 'bob');
    pages.set(me, page);
    return page;
  }

  const largePage = (): Promise<CountedPage> => pageWith(5000, 500);

  test.each([
    [500, 50],
    [5000, 500],
  ])(
    'the page has the same bound of nodes with %i messages and %i conversations, whatever the person does',
    async (messages, conversations) => {
      const page = await pageWith(messages, conversations);
      const { chat } = page;
      const me = `reader of ${messages}`;
      await chat.page.evaluate(SCROLL_TO_THE_BEGINNING);
      await publishAll(1000, (index) => ({ sender: 'bob', recipient: me, content: `later ${index}` }));
      await chat.page.evaluate(TO_THE_END);
      await chat.log.getByText('later 999', { exact: true }).waitFor();
      await chat.unread('bob', 0);
      for (let index = 0; index < 50; index++) {
        await chat.page.evaluate(`location.hash = '#person%20${index}'`);
        await chat.log.getByText(`hello from ${index}`, { exact: true }).waitFor();
      }
      await chat.page.evaluate(`location.hash = '#bob'`);
      await chat.log.getByText('later 999', { exact: true }).waitFor();
      expect(await page.mostNodes()).toBeLessThan(MAX_NODES);
      // It does not hold the earlier ones, either.
      expect(await page.heldNodes()).toBeLessThan(MAX_NODES);
      expect(chat.errors).toEqual([]);
    },
  );

  test('the page does nothing while nothing happens', async () => {
    await (await largePage()).idle();
  });

  test('the page lays out at most once for a key, and touches no row for it', async () => {
    const page = await largePage();
    const { keyboard } = page.chat.page;
    await page.chat.page.getByLabel('Message', { exact: true }).focus();
    // The first letter removes the placeholder, which the browser does by itself.
    await keyboard.press('x');
    await page.idle();
    for (const key of KEYS) {
      const counts = await page.during(() => keyboard.press(key));
      expect(counts.layouts).toBeLessThanOrEqual(1);
      expect(counts.rowChanges).toBe(0);
    }
  });

  test.each(['bob', 'person 7', 'person 499'])(
    'the page lays out at most once for each frame that it draws, if 100 messages of %s come at once',
    async (sender) => {
      const page = await largePage();
      await page.idle();
      const me = 'reader of 5000';
      const counts = await page.during(async () => {
        await publishAll(100, (index) => ({ sender, recipient: me, content: `burst ${index} of ${sender}` }));
        await page.lists(`burst 99 of ${sender}`);
      });
      expect(counts.drawn).toBeLessThan(50);
      expect(counts.layouts).toBeLessThanOrEqual(counts.drawn);
      const one = await page.during(async () => {
        await send(server.url, me, `alone of ${sender}`, { sender });
        await page.lists(`alone of ${sender}`);
      });
      expect(one.layouts).toBeLessThanOrEqual(one.drawn);
    },
  );

  test('the page asks the service for nothing while it draws', async () => {
    const page = await largePage();
    const { chat } = page;
    // The watched people stay the same once the newest of all conversations is among them.
    const watched = chat.page.waitForRequest((request) => request.url().includes('presence=person+3&'));
    await send(server.url, 'reader of 5000', 'hello', { sender: 'person 3' });
    await watched;
    await page.idle();
    const before = chat.requests.length;
    const { drawn } = await page.during(async () => {
      // They are among the newest, so they are watched already.
      for (const index of [498, 497, 496]) {
        await send(server.url, 'reader of 5000', `again ${index}`, { sender: `person ${index}` });
        await page.lists(`again ${index}`);
      }
      await page.frames(30);
    });
    expect(drawn).toBeGreaterThanOrEqual(3);
    expect(chat.requests.slice(before).map((request) => request.url())).toEqual([]);
  });
});
