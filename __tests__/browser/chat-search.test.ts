import { expect, test } from '@jest/globals';
import { publish } from '../support/api.ts';
import { describeInBrowser } from '../support/browser.ts';
import { ChatPage } from '../support/chat-page.ts';
import { until } from '../support/until.ts';
import { withFreshPages, withServer } from '../support/with-browser.ts';

/** For code that runs in the page: the browser has the real one. */
declare const document: {
  activeElement: {
    id: string;
    querySelector: (selector: string) => { textContent: string } | null;
  } | null;
};

describeInBrowser('the list of conversations', () => {
  const browser = withFreshPages();
  const server = withServer();

  /** Opens the page of somebody to whom these people have written, the first one first. */
  async function openWith(name: string, peers: readonly string[]): Promise<ChatPage> {
    await publish(
      server.url,
      peers.map((sender) => ({ sender, recipient: name, content: `from ${sender}` })),
    );
    const page = await ChatPage.open(await browser.newContext(), server.url, name);
    const size = page.page.locator(`#conversations [aria-setsize="${peers.length}"]`);
    await size.first().waitFor();
    return page;
  }

  const searchOf = ({ page }: ChatPage): ReturnType<typeof page.getByRole> => page.getByRole('searchbox');

  /** Returns the person whose row has the focus, or the id of another element that has it. */
  const focused = ({ page }: ChatPage): Promise<string> =>
    page.evaluate(() => {
      const { id, querySelector } = document.activeElement ?? { id: '', querySelector: () => null };
      return id === '' ? (querySelector.call(document.activeElement, '.name')?.textContent ?? '') : id;
    });

  const peerOf = ({ page }: ChatPage): Promise<string> => page.locator('#peer').innerText();

  test.each([
    ['the one of exactly this name', ['joanna', 'ann', 'anna'], 'ann', 'ann'],
    ['one whose name begins so', ['joanna', 'annika'], 'ann', 'annika'],
    ['one whose name begins so, in another case', ['joanna', 'Annika'], 'ann', 'Annika'],
    ['a new one, if no name begins so', ['joanna', 'suzanne'], 'ann', 'ann'],
    ['the exact case', ['Bob', 'bob'], 'bob', 'bob'],
  ])('the list is searched, and Enter leads to %s', async (what, peers, sought, found) => {
    const me = `me-${what.replaceAll(/\W/g, '-')}`;
    const page = await openWith(me, peers);
    await searchOf(page).fill(sought);
    await searchOf(page).press('Enter');
    await until(async () => (await peerOf(page)) === found, found);
    expect(page.errors).toEqual([]);
  });

  test('the search warns of a name that differs from a known one only in case, and writes to either', async () => {
    const page = await openWith('mona', ['Bob']);
    await searchOf(page).fill('bob');
    await page.page.getByText(/You already have .*Bob.* here: .*bob.* would be somebody else/).waitFor();
    await page.page.getByRole('button', { name: 'Write to bob' }).click();
    await until(async () => (await peerOf(page)) === 'bob');
    await searchOf(page).fill('bo');
    expect(await page.page.locator('#search-answer').innerText()).toBe('');
  });

  test('the list is one tab stop, whatever its length, and the arrow keys go through all of it', async () => {
    const peers = Array.from({ length: 120 }, (_, index) => `peer-${index}`);
    const page = await openWith('nina', peers);
    await page.page.keyboard.press('Control+k');
    expect(await focused(page)).toBe('search');
    await page.page.keyboard.press('ArrowDown');
    expect(await focused(page)).toBe('peer-119');
    for (let step = 1; step < 120; step++) await page.page.keyboard.press('ArrowDown');
    expect(await focused(page)).toBe('peer-0');
    // There is nothing below.
    await page.page.keyboard.press('ArrowDown');
    expect(await focused(page)).toBe('peer-0');
    await page.page.keyboard.press('Enter');
    await until(async () => (await peerOf(page)) === 'peer-0');
    await page.page.keyboard.press('Control+k');
    const stops: string[] = [];
    while (!stops.includes('text') && stops.length < 10) {
      await page.page.keyboard.press('Tab');
      stops.push(await focused(page));
    }
    expect(stops).toEqual(['peer-0', 'thread', 'text']);
    expect(page.errors).toEqual([]);
  });

  test('Escape leads from the list to the field for writing, and from there back to the list', async () => {
    const page = await openWith('olga', ['peer-1', 'peer-2']);
    await page.turnTo('peer-1');
    await page.page.keyboard.press('Control+k');
    await page.page.keyboard.type('2');
    await page.page.keyboard.press('Escape');
    expect([await focused(page), await searchOf(page).inputValue()]).toEqual(['text', '']);
    await page.page.keyboard.press('Escape');
    await page.page.getByText('Choose a conversation').waitFor();
    expect(await focused(page)).toBe('search');
    // The back button does not lead to what was left.
    expect(new URL(page.page.url()).hash).toBe('');
  });

  test('the list can be skipped: the first tab stop of the page leads to the field for writing', async () => {
    // On a phone nothing has the focus at first, because that would open the keyboard.
    const context = await browser.newContext({ hasTouch: true, isMobile: true });
    const page = await ChatPage.open(context, server.url, 'pia', { peer: 'peer-1' });
    await page.page.reload();
    await page.live();
    await page.page.keyboard.press('Tab');
    await page.page.keyboard.press('Enter');
    expect(await focused(page)).toBe('text');
  });

  test('a person cannot have the name of a room, and the page says so', async () => {
    const page = await (await browser.newContext()).newPage();
    await page.goto(server.url);
    await page.getByLabel('Your name').fill('room-101');
    await page.getByLabel('Your name').press('Enter');
    await page.getByText('A name that begins with “room-” belongs to a room.').waitFor();
  });
});
