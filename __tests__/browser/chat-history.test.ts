import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Browser } from 'playwright-core';
import { publish, send } from '../support/api.ts';
import { describeInBrowser, launchBrowser } from '../support/browser.ts';
import { ChatPage } from '../support/chat-page.ts';
import { Gate } from '../support/gate.ts';
import { cleanUp, Server } from '../support/server.ts';
import { until } from '../support/until.ts';

interface Box {
  scrollTop: number;
  readonly scrollHeight: number;
  readonly clientHeight: number;
  getBoundingClientRect: () => { top: number; bottom: number };
  querySelectorAll: (selector: string) => Iterable<Box & { dataset: Record<string, string> }>;
}

const COUNT = 300;
const DAYS = 3;

/** The most messages in the document. */
const MAX_ROWS = 150;

describeInBrowser('the history of a conversation', () => {
  let browser: Browser;
  let server: Server;
  beforeAll(async () => {
    [browser, server] = await Promise.all([launchBrowser(), Server.start()]);
    const batch = Array.from({ length: COUNT }, (_, index) => ({
      sender: index % 3 === 0 ? 'alice' : 'bob',
      recipient: index % 3 === 0 ? 'bob' : 'alice',
      content: `${index} ${'word '.repeat((index * 7) % 60)}`.trim(),
    }));
    expect((await publish(server.url, batch)).status).toBe(201);
    // A conversation opens at the first unread message.
    await send(server.url, 'bob', { messageId: COUNT }, { sender: 'alice', type: 'read' });
  });
  afterAll(async () => {
    await (browser as Browser | undefined)?.close();
    await cleanUp();
  });

  /** Returns the message at the top of the view: its id, and its position. */
  function underTheEye(page: ChatPage): Promise<{ id: string; top: number } | undefined> {
    return page.log.evaluate((box: Box) => {
      const { top } = box.getBoundingClientRect();
      for (const row of box.querySelectorAll('[data-id]')) {
        const place = row.getBoundingClientRect();
        if (place.bottom > top) return { id: row.dataset['id'] ?? '', top: place.top };
      }
      return undefined;
    });
  }

  const topOf = (page: ChatPage, id: string): Promise<number> =>
    page.log.locator(`[data-id="${id}"]`).evaluate((row: Box) => row.getBoundingClientRect().top);

  test('history comes in pages on scrolling up, and the message being read stays at the same pixel', async () => {
    const alice = await ChatPage.open(await browser.newContext(), server.url, 'alice', { peer: 'bob' });
    const numbers = async (): Promise<number[]> =>
      (await alice.texts()).map((text) => Number.parseInt(text, 10));
    await until(async () => (await numbers()).at(-1) === COUNT - 1, 'the newest');
    const seen = new Set(await numbers());
    expect(seen.size).toBeLessThan(COUNT / 2);
    let pages = 0;
    while (!seen.has(0)) {
      let before: { id: string; top: number } | undefined;
      // The answer comes after the place was measured.
      await alice.page.route('**/messages?*', async (route) => {
        before = await underTheEye(alice);
        pages++;
        await route.continue();
      });
      const [oldest = 0] = await numbers();
      await alice.log.evaluate((box: Box) => (box.scrollTop = 200));
      await until(async () => ((await numbers())[0] ?? COUNT) < oldest, 'older messages');
      await alice.page.unroute('**/messages?*');
      for (const number of await numbers()) seen.add(number);
      if (before === undefined) continue;
      expect(Math.abs((await topOf(alice, before.id)) - before.top)).toBeLessThan(1.5);
    }
    expect(pages).toBeGreaterThanOrEqual(3);
    expect([...seen].sort((one, other) => one - other)).toEqual(
      Array.from({ length: COUNT }, (_, index) => index),
    );
    const shown = await numbers();
    expect(shown).toEqual(Array.from({ length: shown.length }, (_, index) => index));
    expect(shown.length).toBeLessThanOrEqual(MAX_ROWS);
    await alice.log.getByText('This is the beginning.').waitFor();

    // Messages that come meanwhile do not pull the reader away, either.
    const before = await underTheEye(alice);
    await send(server.url, 'alice', 'new', { sender: 'bob' });
    await alice.unread('bob', 1);
    expect(await underTheEye(alice)).toEqual(before);
    expect(alice.errors).toEqual([]);
  });

  test('a conversation begins at its end, and follows it while the reader is there', async () => {
    const bob = await ChatPage.open(await browser.newContext(), server.url, 'bob', { peer: 'alice' });
    await bob.toNewest();
    await bob.unread('alice', 0);
    await bob.page.reload();
    await bob.live();
    const distance = (): Promise<number> =>
      bob.log.evaluate((box: Box) => box.scrollHeight - box.scrollTop - box.clientHeight);
    await until(async () => (await bob.log.locator('.message').count()) >= 40);
    await until(async () => (await distance()) < 2);
    await send(server.url, 'bob', 'newest\n'.repeat(30), { sender: 'alice' });
    await bob.log.getByText('newest').waitFor();
    await until(async () => (await distance()) < 2);
    // Less room, as when a phone opens its keyboard.
    await bob.page.setViewportSize({ width: 1280, height: 400 });
    await until(async () => (await distance()) < 2);
  });

  test('history has a heading for each day, in the time zone of the reader', async () => {
    // Noon there, so that no new day begins during the test.
    const noon = new Date().setUTCHours(3, 0, 0, 0);
    const days = Array.from({ length: DAYS }, (_, ago) => new Date(noon - ago * 86_400_000));
    const context = await browser.newContext({ timezoneId: 'Asia/Tokyo', locale: 'en-GB' });
    await context.clock.install({ time: days[0] as Date });
    await context.route('**/messages?*', async (route) => {
      const answer = await route.fetch();
      const page = (await answer.json()) as { messages: { createdAt: string }[] };
      for (const [index, message] of page.messages.entries()) {
        message.createdAt = (
          days[DAYS - 1 - Math.floor((index * DAYS) / page.messages.length)] as Date
        ).toISOString();
      }
      await route.fulfill({ response: answer, json: page });
    });
    const carol = await ChatPage.open(context, server.url, 'carol', { peer: 'dora' });
    const batch = Array.from({ length: 9 }, () => ({ sender: 'dora', recipient: 'carol', content: 'x' }));
    await publish(server.url, batch);
    await carol.page.reload();
    await until(async () => (await carol.log.locator('.day').count()) === DAYS);
    const [oldest, ...rest] = await carol.log.locator('.day').allTextContents();
    expect(rest).toEqual(['yesterday', 'today']);
    expect(oldest).toBe(
      (days[DAYS - 1] as Date).toLocaleDateString('en-GB', {
        timeZone: 'Asia/Tokyo',
        weekday: 'long',
        day: 'numeric',
        month: 'long',
        year: 'numeric',
      }),
    );
    expect(await carol.log.locator('time[title]').first().innerText()).toBe(
      (days[DAYS - 1] as Date).toLocaleTimeString('en-GB', { timeZone: 'Asia/Tokyo', timeStyle: 'short' }),
    );
  });

  test('history is there for all conversations, even if a part of their list cannot be read at first', async () => {
    const batch = Array.from({ length: 60 }, (_, index) => ({
      sender: `peer ${index}`,
      recipient: 'zoe',
      content: 'hi',
    }));
    await publish(server.url, batch);
    const context = await browser.newContext();
    let asked = 0;
    await context.route('**/conversations?*before=*', async (route) => {
      if (asked++ === 0) await route.fulfill({ status: 503 });
      else await route.continue();
    });
    const zoe = await ChatPage.open(context, server.url, 'zoe');
    await until(async () => (await zoe.names()).length === 60, '60 conversations');
    expect(zoe.errors).toEqual([]);
  });

  test('history that cannot be read says nothing in another conversation that was opened meanwhile', async () => {
    await send(server.url, 'yuri', 'from carol', { sender: 'carol' });
    const yuri = await ChatPage.open(await browser.newContext(), server.url, 'yuri', { peer: 'carol' });
    const hint = yuri.page.locator('#thread-hint');
    await hint.getByText('This is the beginning.').waitFor();
    const gate = new Gate();
    await yuri.page.route('**/messages?between=yuri&between=bob&*', async (route) => {
      await gate.passed;
      await route.abort();
    });
    await yuri.turnTo('bob');
    await yuri.watches('bob');
    await yuri.turnTo('carol');
    await hint.getByText('This is the beginning.').waitFor();
    const failed = yuri.page.waitForEvent('requestfailed');
    gate.open();
    await failed;
    await send(server.url, 'yuri', 'after it', { sender: 'carol' });
    await yuri.shows('from carol', 'after it');
    expect(await hint.innerText()).toBe('This is the beginning.');
  });
});
