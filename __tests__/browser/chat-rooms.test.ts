import { expect, test } from '@jest/globals';
import type { Route } from 'playwright-core';
import { get, send } from '../support/api.ts';
import { describeInBrowser } from '../support/browser.ts';
import { ChatPage } from '../support/chat-page.ts';
import { Gate } from '../support/gate.ts';
import { until } from '../support/until.ts';
import { withFreshPages, withServer } from '../support/with-browser.ts';

const FORBIDDEN = JSON.stringify({ status: 403, title: 'Forbidden', detail: 'not yours' });

describeInBrowser('a room', () => {
  const browser = withFreshPages();
  const server = withServer();

  const open = async (name: string): Promise<ChatPage> =>
    ChatPage.open(await browser.newContext(), server.url, name);

  /** Returns how many devices follow an inbox. */
  async function followers(room: string): Promise<number | undefined> {
    const answer = await get(server.url, `/presence?recipient=${room}`);
    return (answer.body as Record<string, { devices: number } | undefined>)[room]?.devices;
  }

  test('a room has what all members say, under their names, from before they joined, and over a reload', async () => {
    await send(server.url, 'room-lunch', 'from before', { sender: 'dora' });
    const members = [await open('alice'), await open('bob'), await open('carol')] as const;
    const [alice, bob, carol] = members;
    for (const member of members) await member.turnTo('room-lunch');
    await alice.send('soup?');
    await bob.shows('from before', 'soup?');
    await bob.send('noodles');
    for (const member of [carol, alice]) await member.shows('from before', 'soup?', 'noodles');
    expect(await carol.log.locator('.from').allTextContents()).toEqual(['dora', 'alice', 'bob']);
    expect(await alice.log.locator('.from').allTextContents()).toEqual(['dora', 'bob']);
    await alice.isIn('read', 'soup?');

    await carol.unread('room-lunch', 0);
    await carol.turnTo('alice');
    await bob.send('at noon');
    await carol.unread('room-lunch', 1);
    await carol.page.reload();
    await carol.live();
    await carol.unread('room-lunch', 1);
    await carol.turnTo('room-lunch');
    await carol.shows('from before', 'soup?', 'noodles', 'at noon');
    await carol.unread('room-lunch', 0);
    await carol.page.reload();
    await carol.live();
    await carol.unread('room-lunch', 0);
    for (const { errors } of members) expect(errors).toEqual([]);
  });

  test('a room that was left is gone, even over a reload, and nothing of it comes any more', async () => {
    const alice = await open('alice');
    await alice.turnTo('room-tea');
    await alice.send('anybody?');
    await alice.isIn('stored', 'anybody?');
    await alice.page.getByRole('button', { name: 'Leave' }).click();
    await alice.row('room-tea').waitFor({ state: 'detached' });
    await until(async () => (await followers('room-tea')) === 0);
    await send(server.url, 'room-tea', 'too late', { sender: 'bob' });
    await send(server.url, 'room-tea', 'from another device', { sender: 'alice' });
    await send(server.url, 'alice', 'last', { sender: 'bob' });
    await alice.unread('bob', 1);
    expect(await alice.names()).not.toContain('room-tea');
    await alice.page.reload();
    await alice.live();
    await alice.row('bob').waitFor();
    expect(await alice.names()).not.toContain('room-tea');
  });

  test('a room that is joined in one window and left in another is left in both', async () => {
    const context = await browser.newContext();
    const [one, other] = [
      await ChatPage.open(context, server.url, 'nora'),
      await ChatPage.open(context, server.url, 'nora'),
    ];
    await one.turnTo('room-both');
    await one.turnTo('otto');
    await other.turnTo('room-both');
    await other.page.getByRole('button', { name: 'Leave' }).click();
    for (const page of [one, other]) await page.row('room-both').waitFor({ state: 'detached' });
    expect([one.errors, other.errors]).toEqual([[], []]);
  });

  test('a room that is joined or left in one window is joined or left in another window of the same browser', async () => {
    const one = await open('bob');
    const other = await ChatPage.open(one.page.context(), server.url, 'bob');
    await one.turnTo('room-tabs');
    await other.row('room-tabs').waitFor();
    await send(server.url, 'room-tabs', 'hi', { sender: 'carol' });
    await other.turnTo('room-tabs');
    for (const window of [one, other]) await window.shows('hi');
    await one.page.getByRole('button', { name: 'Leave' }).click();
    await other.row('room-tabs').waitFor({ state: 'detached' });
    await other.page.getByText('Choose a conversation').waitFor();
    expect([...one.errors, ...other.errors]).toEqual([]);
  });

  test('a room tells the others who is typing', async () => {
    const [alice, bob] = [await open('alice'), await open('bob')];
    for (const member of [alice, bob]) await member.turnTo('room-typing');
    await until(async () => (await followers('room-typing')) === 2);
    await alice.page.getByLabel('Message', { exact: true }).pressSequentially('x');
    await until(async () => /alice.? is typing…/.test(await bob.page.locator('#typing').innerText()));
  });

  test('a room counts once what comes between the answers that its page is opened with', async () => {
    const fred = await open('fred');
    await fred.turnTo('room-race');
    await fred.turnTo('bob');
    await fred.page.route('**/conversations?recipient=fred&limit=*', async (route) => {
      const answer = await route.fetch();
      // After the cursor of this answer, and in the history that is requested next.
      await send(server.url, 'room-race', 'between', { sender: 'carol' });
      await route.fulfill({ response: answer });
    });
    await fred.page.reload();
    await fred.live();
    await send(server.url, 'fred', 'after it', { sender: 'dora' });
    await fred.unread('dora', 1);
    await fred.unread('room-race', 1);
  });

  test('a room counts all unread messages when its page is opened, beyond the first page of its history', async () => {
    const dora = await open('dora');
    await dora.turnTo('room-busy');
    await dora.turnTo('bob');
    await dora.page.goto('about:blank');
    for (let count = 0; count < 120; count++) await send(server.url, 'room-busy', count, { sender: 'carol' });
    await dora.page.goto(server.url);
    await dora.live();
    await dora.unread('room-busy', 120);
  });

  test('a room in which a person never wrote is read on another device too, as far as on the first', async () => {
    for (const text of ['one', 'two']) await send(server.url, 'room-news', text, { sender: 'carol' });
    const phone = await open('nora');
    await phone.turnTo('room-news');
    await phone.shows('one', 'two');
    await until(async () => {
      const answer = await get(server.url, '/conversations?recipient=nora&room=room-news');
      return (answer.body as { conversations: { unread: number }[] }).conversations[0]?.unread === 0;
    }, 'the read marker');
    await phone.turnTo('bob');
    await send(server.url, 'room-news', 'three', { sender: 'carol' });
    await phone.unread('room-news', 1);
    const laptop = await open('nora');
    let asked = 0;
    laptop.page.on('request', (request) => (asked += Number(request.url().includes('&room=room-news'))));
    await laptop.turnTo('bob');
    await laptop.page.evaluate(`localStorage.setItem('tidings:chat:rooms:nora', '{"room-news":0}')`);
    await laptop.page.reload();
    await laptop.live();
    await laptop.unread('room-news', 1);
    expect(asked).toBe(1);
    await laptop.turnTo('room-news');
    await laptop.shows('one', 'two', 'three');
    await phone.unread('room-news', 0);
    expect([...phone.errors, ...laptop.errors]).toEqual([]);
  });

  test('a room counts messages of all types except background messages, of which it shows those of the type message', async () => {
    const olga = await open('olga');
    await olga.turnTo('room-types');
    await olga.turnTo('bob');
    await send(server.url, 'room-types', { n: 1 }, { sender: 'shop', type: 'order' });
    await send(server.url, 'room-types', 'silent', { sender: 'shop', background: true });
    await send(server.url, 'room-types', 'telemetry', {
      sender: 'shop',
      type: 'telemetry',
      background: true,
    });
    await send(server.url, 'olga', 'silent', { sender: 'somebody', background: true });
    await send(server.url, 'olga', 'last', { sender: 'dora', type: 'note' });
    await olga.unread('dora', 1);
    await olga.unread('room-types', 1);
    await olga.title('(2) bob · Tidings');
    expect(await olga.names()).not.toContain('somebody');
    await olga.page.reload();
    await olga.live();
    await olga.unread('dora', 1);
    await olga.unread('room-types', 1);
    await olga.turnTo('room-types');
    await olga.shows('{\n  "n": 1\n}', 'silent');
    await olga.unread('room-types', 0);
    await olga.page.reload();
    await olga.live();
    await olga.title('(1) room-types · Tidings');
    expect(olga.errors).toEqual([]);
  });

  test('a room has what comes to it while it is being joined', async () => {
    const amy = await open('amy');
    await send(server.url, 'room-join', 'old', { sender: 'kim' });
    let isFirst = true;
    await amy.page.route('**/conversations?*', async (route) => {
      const answer = await route.fetch();
      if (isFirst && route.request().url().includes('room-join')) {
        isFirst = false;
        await send(server.url, 'room-join', 'between', { sender: 'kim' });
        // This moves the page's own cursor past the message.
        await send(server.url, 'amy', 'to herself', { sender: 'kim' });
        await amy.unread('kim', 1);
      }
      await route.fulfill({ response: answer });
    });
    await amy.turnTo('room-join');
    await amy.shows('old', 'between');
    await send(server.url, 'room-join', 'new', { sender: 'kim' });
    await amy.shows('old', 'between', 'new');
    // A repeated message is not counted again.
    await amy.unread('kim', 1);
  });

  test.each<[what: string, sentence: string, answer: (route: Route) => Promise<void>]>([
    ['a room that cannot be joined now', 'You cannot join a room now', (route) => route.abort()],
    [
      'a room that may not be read',
      'You are not allowed to read',
      (route) => route.fulfill({ status: 403, contentType: 'application/problem+json', body: FORBIDDEN }),
    ],
  ])('%s is not in the list, and closes no other conversation', async (_what, sentence, answer) => {
    const gina = await open('gina');
    const gate = new Gate();
    const [room, field] = ['**/conversations?*room=room-far', gina.page.getByLabel('Search, or a name')];
    await gina.page.route(room, async (route) => {
      await gate.passed;
      await answer(route);
    });
    const asked = gina.page.waitForRequest(room);
    await field.fill('room-far');
    await field.press('Enter');
    await asked;
    // The page draws when it begins to watch carol: that would hide a drawing that is missing later.
    const watched = gina.page.waitForResponse(/stream\?.*carol/);
    await gina.turnTo('carol');
    await watched;
    await gina.live();
    await gina.drawn();
    expect(await gina.names()).toContain('room-far');
    gate.open();
    await gina.page.getByText(sentence).waitFor();
    await until(async () => !(await gina.names()).includes('room-far'), 'the room to be gone');
    await gina.page.getByRole('heading', { name: 'carol', exact: true }).waitFor();
    expect(new URL(gina.page.url()).hash).toBe('#carol');
  });

  test('a room that is joined while another window is being opened takes nothing from what that window is told', async () => {
    const one = await open('hugo');
    await one.turnTo('room-one');
    const other = new ChatPage(await one.page.context().newPage());
    const holdUp = async (answers: string): Promise<{ gate: Gate; isHeld: () => boolean }> => {
      const gate = new Gate();
      let isHeld = false;
      await other.page.route(answers, async (route) => {
        const response = await route.fetch();
        isHeld = true;
        await gate.passed;
        await route.fulfill({ response });
      });
      return { gate, isHeld: () => isHeld };
    };
    const first = await holdUp('**/conversations?*room=room-one');
    const second = await holdUp('**/conversations?*room=room-two');
    const missed = await holdUp('**/messages?recipient=hugo&*after=*');
    await other.page.goto(server.url);
    await until(first.isHeld);
    await one.turnTo('room-two');
    await until(second.isHeld);
    await send(server.url, 'hugo', 'meanwhile', { sender: 'carol' });
    await one.unread('carol', 1);
    first.gate.open();
    await until(missed.isHeld);
    const joined = other.page.waitForEvent('requestfinished', (one) => one.url().includes('&room=room-two'));
    second.gate.open();
    await joined;
    // A tab that hears of a later message would fetch what it has missed.
    await send(server.url, 'hugo', 'after it', { sender: 'dora' });
    await one.unread('dora', 1);
    missed.gate.open();
    await other.unread('dora', 1);
    await other.unread('carol', 1);
  });
});
