import { expect, test } from '@jest/globals';
import { publish } from '../support/api.ts';
import { describeInBrowser } from '../support/browser.ts';
import { ChatPage } from '../support/chat-page.ts';
import { SECRET, tokenFor } from '../support/tokens.ts';
import { until } from '../support/until.ts';
import { withBrowser, withFreshPages, withServer } from '../support/with-browser.ts';

describeInBrowser('a message that the service refuses', () => {
  const browser = withFreshPages();
  const server = withServer({ env: { AUTH_SECRET: SECRET } });

  /** Opens the page of somebody who may write only to Bob. */
  const open = async (name: string): Promise<ChatPage> => {
    const token = await tokenFor(name, { sendTo: ['bob'] });
    const page = await ChatPage.openWithToken(await browser.newContext(), server.url, token);
    await page.turnTo('carol');
    return page;
  };

  const decide = (page: ChatPage, text: string, what: string): Promise<void> =>
    page.own(text).getByRole('button', { name: what }).click();

  test('a refused message stays over a reload, with a reason in words, until the person discards it', async () => {
    const ann = await open('ann');
    for (const text of ['one', 'two']) {
      await ann.send(text);
      await ann.isIn('refused', text);
    }
    await ann.page.reload();
    await ann.live();
    await ann.shows('one', 'two');
    expect(await ann.own('one').innerText()).toMatch(/Not sent: you may not write to .*carol/);
    await decide(ann, 'one', 'Discard');
    await ann.shows('two');
    await ann.page.reload();
    await ann.live();
    await ann.shows('two');
    expect(ann.errors).toEqual([]);
  });

  test('a refused message can be edited: it is in the field again, before the unfinished message', async () => {
    const ben = await open('ben');
    await ben.send('to be mended');
    await ben.isIn('refused', 'to be mended');
    const field = ben.page.getByLabel('Message', { exact: true });
    await field.fill('begun');
    await decide(ben, 'to be mended', 'Edit');
    expect(await field.inputValue()).toBe('to be mended\nbegun');
    await ben.shows();
    // It is the draft of this conversation now.
    await ben.turnTo('bob');
    expect(await field.inputValue()).toBe('');
    await ben.page.reload();
    await ben.live();
    await ben.turnTo('carol');
    expect(await field.inputValue()).toBe('to be mended\nbegun');
  });

  test('a refused message is stored once when it is tried again with a session that allows it, and has its place then', async () => {
    const eve = await open('eve');
    await eve.send('hello');
    await eve.isIn('refused', 'hello');
    await decide(eve, 'hello', 'Try again');
    await eve.isIn('refused', 'hello');
    await eve.shows('hello');
    await eve.changeSession(await tokenFor('eve', { sendTo: ['*'] }));
    await eve.live();
    await decide(eve, 'hello', 'Try again');
    await eve.isIn('stored', 'hello');
    await eve.shows('hello');
    const token = await tokenFor('carol');
    const answer = await fetch(`${server.url}/messages?recipient=carol`, {
      headers: { Authorization: `Bearer ${token}` },
    });
    const { messages } = (await answer.json()) as { messages: { content: string; sender: string }[] };
    expect(messages.filter(({ sender }) => sender === 'eve').map(({ content }) => content)).toEqual([
      'hello',
    ]);
    await eve.page.reload();
    await eve.live();
    await eve.shows('hello');
    await eve.isIn('stored', 'hello');
  });

  test('a refused message is seen only by the person who wrote it, even in the same browser', async () => {
    const fay = await open('fay');
    await fay.send('for nobody else');
    await fay.isIn('refused', 'for nobody else');
    await fay.page.getByRole('button', { name: 'Sign out', exact: true }).click();
    await fay.page.getByRole('button', { name: 'Sign out and lose it' }).click();
    await fay.page.getByLabel('Your token').fill(await tokenFor('gil', { sendTo: ['*'] }));
    await fay.page.getByLabel('Your token').press('Enter');
    await fay.live();
    await fay.turnTo('carol');
    await until(
      async () => (await fay.log.getByText('Nothing here yet').count()) === 1,
      'an empty conversation',
    );
    await fay.shows();
  });
});

describeInBrowser('a message that expires', () => {
  const browser = withBrowser();
  const server = withServer();

  test('an expired message leaves the conversation, the list, the count and the title without anything else happening', async () => {
    const ada = await ChatPage.open(await browser.newContext(), server.url, 'ada', { peer: 'bob' });
    // Hidden, so that nothing is read.
    await ada.setHidden(true);
    await publish(server.url, { sender: 'bob', recipient: 'ada', content: 'stays' });
    await ada.shows('stays');
    const last = ada.row('bob').locator('.last');
    for (const [sender, ttl] of [
      ['bob', 3],
      ['carol', 3],
    ] as const) {
      await publish(server.url, { sender, recipient: 'ada', content: `gone from ${sender}`, ttl });
    }
    await ada.shows('stays', 'gone from bob');
    await ada.title('(3) bob · Tidings');
    await ada.row('carol').waitFor();
    await ada.shows('stays');
    await ada.title('(1) bob · Tidings');
    await until(async () => (await last.innerText()) === 'stays', 'the message before');
    await ada.unread('bob', 1);
    await ada.row('carol').waitFor({ state: 'detached' });
    expect(ada.errors).toEqual([]);
  });
});
