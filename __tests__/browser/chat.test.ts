import { expect, test } from '@jest/globals';
import { send } from '../support/api.ts';
import { describeInBrowser } from '../support/browser.ts';
import { ChatPage } from '../support/chat-page.ts';
import { until } from '../support/until.ts';
import { withFreshPages, withServer } from '../support/with-browser.ts';

describeInBrowser('a conversation', () => {
  const browser = withFreshPages();
  const server = withServer();

  async function open(name: string, peer?: string): Promise<ChatPage> {
    return ChatPage.open(await browser.newContext(), server.url, name, peer === undefined ? {} : { peer });
  }

  test('a conversation is the same on three devices and in two tabs: messages, their states, read markers, unread counts', async () => {
    const alice = await open('alice', 'bob');
    const phone = await open('bob');
    const desk = await open('bob');
    const tab = await ChatPage.open(desk.page.context(), server.url, 'bob');
    const bobs = [phone, desk, tab];

    await alice.send('one');
    await alice.send('two');
    await alice.isIn('stored', 'two');
    for (const bob of bobs) {
      await bob.unread('alice', 2);
      await bob.title('(2) bob · Tidings');
    }

    // When one of bob's devices reads, the others have read too, and alice is told.
    await phone.turnTo('alice');
    await phone.shows('one', 'two');
    for (const text of ['one', 'two']) await alice.isIn('read', text);
    for (const bob of bobs) await bob.unread('alice', 0);
    await tab.title('bob · Tidings');

    // One device answers, and all show the answer as their own.
    await phone.send('three');
    for (const bob of [desk, tab]) {
      await bob.turnTo('alice');
      await bob.shows('one', 'two', 'three');
      await bob.isIn('read', 'three');
    }
    await alice.shows('one', 'two', 'three');
    await alice.unread('bob', 0);
    for (const { errors, strayRequests } of [alice, ...bobs].map((page) => ({
      errors: page.errors,
      strayRequests: page.strayRequests(server.url),
    }))) {
      expect(errors).toEqual([]);
      expect(strayRequests).toEqual([]);
    }
  });

  test('a conversation says who is typing, until the message comes', async () => {
    const [carol, dora] = [await open('carol', 'dora'), await open('dora', 'carol')];
    const typing = dora.page.locator('#typing');
    await dora.watches('carol');
    await carol.page.getByLabel('Message', { exact: true }).pressSequentially('hm');
    await until(async () => /carol.? is typing…/.test(await typing.innerText()), 'carol types');
    await carol.send('hello');
    await dora.shows('hello');
    await until(async () => (await typing.innerText()) === '', 'carol has stopped');
    expect(await carol.page.locator('#typing').innerText()).toBe('');
  });

  test('the page says who is online, in the list and above the conversation, until they have left', async () => {
    await send(server.url, 'emil', 'hi', { sender: 'fred' });
    const emil = await open('emil', 'fred');
    await emil.row('fred').waitFor();
    expect(await emil.row('fred').locator('.dot').isVisible()).toBe(false);
    const fred = await open('fred');
    await emil.row('fred').locator('.dot').waitFor();
    expect(await emil.page.locator('#presence').innerText()).toBe('online');
    // Fred had not opened the conversation: emil's row came with the list.
    await fred.row('emil').locator('.dot').waitFor();
    await fred.page.context().close();
    await emil.row('fred').locator('.dot').waitFor({ state: 'hidden' });
    await until(async () => (await emil.page.locator('#presence').innerText()).startsWith('last seen'));
  });

  test('a conversation with somebody who writes for the first time comes up by itself, on top, with presence', async () => {
    const gina = await open('gina');
    const hans = await open('hans', 'gina');
    await send(server.url, 'gina', 'old', { sender: 'ida' });
    await gina.unread('ida', 1);
    await hans.send('new');
    await gina.unread('hans', 1);
    expect(await gina.names()).toEqual(['hans', 'ida']);
    await gina.row('hans').locator('.dot').waitFor();
    await send(server.url, 'gina', 'newer', { sender: 'ida' });
    await gina.unread('ida', 2);
    expect(await gina.names()).toEqual(['ida', 'hans']);
  });

  test('an unfinished message to one person stays out of the conversation with another', async () => {
    const jan = await open('jan', 'kim');
    await jan.page.getByLabel('Message', { exact: true }).fill('only for kim');
    await jan.turnTo('lea');
    expect(await jan.page.getByLabel('Message', { exact: true }).inputValue()).toBe('');
    await jan.turnTo('kim');
    expect(await jan.page.getByLabel('Message', { exact: true }).inputValue()).toBe('only for kim');
  });

  test('Enter pressed twice in haste sends one message, and Shift with Enter begins a new line', async () => {
    const mia = await open('mia', 'nina');
    await mia.page.getByLabel('Message', { exact: true }).pressSequentially('once');
    await Promise.all([mia.page.keyboard.press('Enter'), mia.page.keyboard.press('Enter')]);
    await mia.page.getByLabel('Message', { exact: true }).pressSequentially('a');
    await mia.page.keyboard.press('Shift+Enter');
    await mia.page.keyboard.type('b');
    await mia.page.keyboard.press('Enter');
    await mia.isIn('stored', 'once');
    await mia.shows('once', 'a\nb');
  });
});
