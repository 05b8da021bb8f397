import { expect, test } from '@jest/globals';
import { get, publish, send } from '../support/api.ts';
import { describeInBrowser } from '../support/browser.ts';
import { ChatPage } from '../support/chat-page.ts';
import { until } from '../support/until.ts';
import { withFreshPages, withServer } from '../support/with-browser.ts';

interface Box {
  scrollTop: number;
  readonly scrollHeight: number;
  readonly clientHeight: number;
  getBoundingClientRect: () => { top: number; bottom: number };
}

interface Conversations {
  readonly conversations: { peer: string; readThrough: number | null }[];
}

/** For code that runs in the page: the browser has the real one. */
declare const document: { querySelector: (selector: string) => Box | null };

/** Enough messages to fill any view. */
const MANY = 60;

describeInBrowser('the place where one is in a conversation', () => {
  const browser = withFreshPages();
  const server = withServer();

  const open = async (name: string, peer: string): Promise<ChatPage> =>
    ChatPage.open(await browser.newContext(), server.url, name, { peer });

  /** Publishes numbered messages. */
  const write = (sender: string, recipient: string, from: number, to: number): Promise<unknown> =>
    publish(
      server.url,
      Array.from({ length: to - from }, (_, index) => ({
        sender,
        recipient,
        content: `number ${from + index}`,
      })),
    );

  const markRead = (sender: string, recipient: string, messageId: number): Promise<unknown> =>
    publish(server.url, { sender, recipient, type: 'read', content: { messageId } });

  async function readThrough(reader: string, peer: string): Promise<number | null> {
    const answer = await get(server.url, `/conversations?recipient=${reader}`);
    const found = (answer.body as Conversations).conversations.find((one) => one.peer === peer);
    return found?.readThrough ?? null;
  }

  /** Returns the newest id of a conversation. */
  async function newest(one: string, other: string): Promise<number> {
    const answer = await get(server.url, `/messages?between=${one}&between=${other}&before=latest&limit=1`);
    return (answer.body as { messages: [{ id: number }] }).messages[0].id;
  }

  const place = ({ page }: ChatPage): Promise<{ top: number; height: number; bottom: number } | undefined> =>
    page.evaluate(() => {
      const [box, row] = [document.querySelector('#thread'), document.querySelector('#messages .unread')];
      if (box === null || row === null) return undefined;
      const bounds = box.getBoundingClientRect();
      const { top } = row.getBoundingClientRect();
      return { top: top - bounds.top, height: bounds.bottom - bounds.top, bottom: box.scrollHeight };
    });

  /** Returns the text of the topmost message in view. */
  const topmost = ({ log }: ChatPage): Promise<string> =>
    log.evaluate(
      (box: Box & { querySelectorAll: (selector: string) => Iterable<Box & { innerText: string }> }) => {
        const { top } = box.getBoundingClientRect();
        for (const row of box.querySelectorAll('.message .text'))
          if (row.getBoundingClientRect().bottom > top) return row.innerText;
        return '';
      },
    );

  const scrollTo = ({ log }: ChatPage, top: number): Promise<void> =>
    log.evaluate((box: Box, to) => void (box.scrollTop = to), top);

  test('a conversation opens at the first unread message, below a line that says so, and unseen messages stay unread', async () => {
    await write('ben', 'ada', 0, MANY);
    const read = await newest('ada', 'ben');
    await markRead('ada', 'ben', read);
    await write('ben', 'ada', MANY, 2 * MANY);
    const ada = await open('ada', 'ben');
    await ada.log.getByText('New', { exact: true }).waitFor();
    const { top = -1, height = 0 } = (await place(ada)) ?? {};
    expect(top).toBeGreaterThan(0);
    expect(top).toBeLessThan(height / 2);
    await until(async () => ((await readThrough('ada', 'ben')) ?? 0) > read, 'what is in view to be read');
    // The view is too small for all of them.
    const unread = Number(await ada.row('ben').locator('.badge').innerText());
    expect(unread).toBeGreaterThan(0);
    expect(unread).toBeLessThan(MANY);
    const button = ada.page.getByRole('button', { name: `${unread} new` });
    await send(server.url, 'ada', 'one more', { sender: 'ben' });
    await ada.page.getByRole('button', { name: `${unread + 1} new` }).click();
    await ada.unread('ben', 0);
    await button.waitFor({ state: 'hidden' });
    expect(await ada.texts()).toContain('one more');
    // The line stays in its place while the conversation is open.
    expect(await ada.log.getByText('New', { exact: true }).count()).toBe(1);
    await ada.turnTo('carl');
    await ada.turnTo('ben');
    expect(await ada.log.getByText('New', { exact: true }).count()).toBe(0);
    expect(ada.errors).toEqual([]);
  });

  test('a conversation opens at its end if all is read, and new messages stay in view there', async () => {
    await write('eve', 'dan', 0, MANY);
    await markRead('dan', 'eve', await newest('dan', 'eve'));
    const dan = await open('dan', 'eve');
    await until(async () => (await dan.texts()).at(-1) === `number ${MANY - 1}`);
    const distance = (): Promise<number> =>
      dan.log.evaluate((box: Box) => box.scrollHeight - box.scrollTop - box.clientHeight);
    await until(async () => (await distance()) < 2, 'the end');
    await send(server.url, 'dan', 'one more', { sender: 'eve' });
    await until(async () => (await dan.texts()).at(-1) === 'one more' && (await distance()) < 2);
    await dan.unread('eve', 0);
    expect(await dan.page.getByRole('button', { name: 'Jump to newest' }).isVisible()).toBe(false);
  });

  test('the place in each conversation is kept over others and over a reload, with the unfinished message', async () => {
    for (const peer of ['gil', 'hal']) {
      await write(peer, 'fay', 0, 3 * MANY);
      await markRead('fay', peer, await newest('fay', peer));
    }
    const fay = await open('fay', 'gil');
    await until(async () => (await fay.texts()).length > 0);
    const field = fay.page.getByLabel('Message', { exact: true });
    await field.fill('begun for gil\nin two lines');
    await scrollTo(fay, 500);
    await fay.page.getByRole('button', { name: 'Jump to newest' }).waitFor();
    const there = await topmost(fay);
    await fay.turnTo('hal');
    expect(await field.inputValue()).toBe('');
    await field.fill('begun for hal');
    await fay.turnTo('gil');
    await until(async () => (await topmost(fay)) === there, there);
    expect(await field.inputValue()).toBe('begun for gil\nin two lines');
    // The first steps of an empty conversation change no place in others.
    await fay.turnTo('nobody');
    await fay.log.getByText('Nothing here yet').waitFor();
    await fay.turnTo('gil');
    await until(async () => (await topmost(fay)) === there, there);
    await field.press('Escape');
    await fay.page.getByText('Choose a conversation').waitFor();
    await fay.turnTo('gil');
    await until(async () => (await topmost(fay)) === there, there);
    await fay.page.reload();
    await fay.live();
    await until(async () => (await topmost(fay)) === there, there);
    expect(await field.inputValue()).toBe('begun for gil\nin two lines');
    await field.press('Enter');
    await fay.isIn('stored', 'begun for gil\nin two lines');
    expect(await field.inputValue()).toBe('');
    await fay.page.reload();
    await fay.live();
    expect(await field.inputValue()).toBe('');
    await fay.turnTo('hal');
    expect(await field.inputValue()).toBe('begun for hal');
    expect(fay.errors).toEqual([]);
  });

  test.each([30, 700])(
    'the view stops at the first message that was not in view if %i come at once, and the rest stays unread',
    async (count) => {
      const [me, peer] = [`kim of ${count}`, `lea of ${count}`];
      await write(peer, me, 0, MANY);
      await markRead(me, peer, await newest(me, peer));
      const kim = await open(me, peer);
      await until(async () => (await kim.texts()).at(-1) === `number ${MANY - 1}`);
      for (let from = MANY; from < MANY + count; from += 500)
        await write(peer, me, from, Math.min(from + 500, MANY + count));
      await kim.log.getByText('New', { exact: true }).waitFor();
      await until(async () => (await readThrough(me, peer)) !== null, 'what is in view to be read');
      await until(
        async () => Number(await kim.row(peer).locator('.badge').innerText()) < count,
        'less unread',
      );
      const { top = -1, height = 0 } = (await place(kim)) ?? {};
      expect(top).toBeGreaterThan(0);
      expect(top).toBeLessThan(height / 2);
      const unread = Number(await kim.row(peer).locator('.badge').innerText());
      // A view of 720 pixels holds no more than 20 rows.
      expect(unread).toBeGreaterThanOrEqual(count - 20);
      expect(unread).toBeLessThan(count);
      await kim.page.getByRole('button', { name: `${unread} new` }).click();
      await kim.unread(peer, 0);
      expect((await kim.texts()).at(-1)).toBe(`number ${MANY + count - 1}`);
      expect(kim.errors).toEqual([]);
    },
  );

  test('the view is at the first missed message if more were missed than it holds', async () => {
    await write('moe', 'lou', 0, MANY);
    await markRead('lou', 'moe', await newest('lou', 'moe'));
    const lou = await open('lou', 'moe');
    await until(async () => (await lou.texts()).at(-1) === `number ${MANY - 1}`);
    await lou.page.context().setOffline(true);
    await lou.page.getByText('Offline').first().waitFor();
    await write('moe', 'lou', MANY, MANY + 300);
    await lou.page.context().setOffline(false);
    await lou.log.getByText('New', { exact: true }).waitFor();
    await until(
      async () => Number(await lou.row('moe').locator('.badge').innerText()) > 270,
      'the rest unread',
    );
    await lou.page.getByRole('button', { name: /new/ }).waitFor();
    expect(await topmost(lou)).toMatch(/number [56]\d$/);
    expect(lou.errors).toEqual([]);
  });

  test('the place stays the same up through a long history and back, in a bounded number of rows', async () => {
    for (let part = 0; part < 1000; part += 500) await write('jim', 'ina', part, part + 500);
    await markRead('ina', 'jim', await newest('ina', 'jim'));
    const ina = await open('ina', 'jim');
    await until(async () => (await ina.texts()).at(-1) === 'number 999');
    const seen = new Set<string>();
    const collect = async (): Promise<void> => {
      const texts = await ina.texts();
      expect(texts.length).toBeLessThanOrEqual(150);
      const numbers = texts.map((text) => Number(text.replace('number ', '')));
      // There is no gap, and nothing is repeated.
      expect(numbers).toEqual(numbers.map((_, index) => (numbers[0] ?? 0) + index));
      for (const text of texts) seen.add(text);
    };
    while (!seen.has('number 0')) {
      await collect();
      await ina.log.evaluate((box: Box) => void (box.scrollTop = Math.max(0, box.scrollTop - 1500)));
    }
    expect(seen.size).toBe(1000);
    seen.clear();
    while (!seen.has('number 999')) {
      await collect();
      await ina.log.evaluate((box: Box) => void (box.scrollTop += 1500));
    }
    expect(seen.size).toBe(1000);
    await ina.send('the end');
    await until(async () => (await ina.texts()).at(-1) === 'the end');
    expect(ina.errors).toEqual([]);
  });
});
