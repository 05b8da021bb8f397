import { expect, test } from '@jest/globals';
import { get, send } from '../support/api.ts';
import { describeInBrowser } from '../support/browser.ts';
import { ChatPage } from '../support/chat-page.ts';
import { until } from '../support/until.ts';
import { withFreshPages, withServer } from '../support/with-browser.ts';

describeInBrowser('starting a conversation', () => {
  const browser = withFreshPages();
  const server = withServer();

  const open = async (name: string): Promise<ChatPage> =>
    ChatPage.open(await browser.newContext(), server.url, name);

  test('the keyboard is enough to sign in, search, write, read, and go to another conversation', async () => {
    await send(server.url, 'alice', 'from bob', { sender: 'bob' });
    await send(server.url, 'alice', 'from carol', { sender: 'carol' });
    const page = await (await browser.newContext()).newPage();
    const alice = new ChatPage(page);
    await page.goto(server.url);
    await page.getByLabel('Your name').waitFor();
    const { keyboard } = page;
    await keyboard.type('alice');
    await keyboard.press('Enter');
    await alice.live();
    await until(async () => (await alice.names()).length === 2);
    const search = page.getByLabel('Search, or a name');
    for (let presses = 0; presses < 10 && !(await isFocused(search)); presses++) await keyboard.press('Tab');
    expect(await isFocused(search)).toBe(true);

    await keyboard.type('CAR');
    expect(await alice.names()).toEqual(['carol']);
    await keyboard.press('Enter');
    await alice.shows('from carol');
    expect(await search.inputValue()).toBe('');
    await keyboard.type('hello');
    await keyboard.press('Enter');
    await alice.isIn('stored', 'hello');

    await search.focus();
    await keyboard.type('dora');
    expect(await alice.names()).toEqual([]);
    await keyboard.press('Tab');
    expect(await isFocused(page.getByRole('button', { name: 'Write to dora' }))).toBe(true);
    await keyboard.press('Enter');
    await page.getByRole('heading', { name: 'dora' }).waitFor();
    await keyboard.type('first');
    await keyboard.press('Enter');
    await alice.isIn('stored', 'first');
    expect(await alice.names()).toEqual(['dora', 'carol', 'bob']);

    await search.focus();
    for (const key of ['ArrowDown', 'ArrowDown', 'ArrowDown', 'Enter']) await keyboard.press(key);
    await page.getByRole('heading', { name: 'bob' }).waitFor();
    await alice.shows('from bob');
    expect(alice.errors).toEqual([]);
  });

  test.each([
    ['quotes', `o'brien "the" \`one\``],
    ['slashes', '../a/b\\c'],
    ['what means something in a URL', '#50% ?&=+;'],
    ['what looks like an escape', 'a%20b%'],
    ['Chinese', '王小明'],
    ['Arabic', 'ليلى'],
    ['HTML', '<b>&amp;</b>'],
    ['an emoji', '🦊'],
    ['a name of an object’s own', '__proto__'],
    ['128 letters without a space', 'x'.repeat(128)],
  ])('a conversation with a name of %s works from both ends and over a reload', async (_what, name) => {
    // Some of the names would be markup.
    const text = `to ${name.length} letters`;
    const [alice, other] = [await open('alice'), await open(name)];
    await alice.turnTo(name);
    await alice.send(text);
    await alice.isIn('stored', text);
    await other.turnTo('alice');
    await other.shows(text);
    await alice.isIn('read', text);
    await alice.page.reload();
    await alice.live();
    await alice.shows(text);
    expect(await alice.row(name).locator('.name').innerText()).toBe(name);
    const width = await alice.page.evaluate(() => document.documentElement.scrollWidth);
    expect(width).toBeLessThanOrEqual(1280);
    expect([...alice.errors, ...other.errors]).toEqual([]);
  });

  test('a name that is not an address is refused with the reason, and does no harm to the stream', async () => {
    const alice = await open('alice');
    for (const [name, reason] of [
      ['$system', /cannot begin with/],
      ['a*', /cannot contain “\*”/],
      ['a\u200db', /invisible/],
      ['x'.repeat(129), /at most 128 characters/],
    ] as const) {
      await alice.page
        .getByLabel('Search, or a name')
        .evaluate((field: { maxLength: number }) => (field.maxLength = 999));
      await alice.page.getByLabel('Search, or a name').fill(name);
      await alice.page.getByLabel('Search, or a name').press('Enter');
      await alice.page.getByText(reason).waitFor();
    }
    await alice.page.goto(`${server.url}/#${encodeURIComponent('$system')}`);
    await alice.page.reload();
    await alice.live();
    await alice.page.getByText('Choose a conversation').waitFor();
    await send(server.url, 'alice', 'still here', { sender: 'bob' });
    await alice.row('bob').getByText('still here').waitFor();
  });

  test('a conversation with oneself is a place for notes', async () => {
    const alice = await open('emil');
    await alice.turnTo('emil');
    await alice.send('a note');
    await alice.isIn('stored', 'a note');
    await alice.shows('a note');
    await alice.page.reload();
    await alice.live();
    await alice.shows('a note');
    await alice.unread('emil', 0);
    expect((await get(server.url, '/messages?recipient=emil')).body).toMatchObject({
      messages: [{ content: 'a note' }],
    });
  });

  test('the search finds conversations beyond the first page of the list', async () => {
    for (let count = 0; count < 60; count++)
      await send(server.url, 'fred', 'hi', { sender: `friend ${count}` });
    const fred = await open('fred');
    await until(async () => (await fred.names()).length === 60);
    await fred.page.getByLabel('Search, or a name').fill('friend 3');
    expect((await fred.names()).length).toBe(11);
    await fred.title('(60) fred · Tidings');
  });
});

/** For code that runs in the page: the browser has the real one. */
declare const document: { activeElement: unknown; documentElement: { scrollWidth: number } };

function isFocused(locator: {
  evaluate: (run: (one: unknown) => boolean) => Promise<boolean>;
}): Promise<boolean> {
  return locator.evaluate((one) => one === document.activeElement);
}
