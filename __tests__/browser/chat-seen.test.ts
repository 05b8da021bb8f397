import { expect, test } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { get, publish, send, type WireMessage } from '../support/api.ts';
import { describeInBrowser } from '../support/browser.ts';
import { ChatPage } from '../support/chat-page.ts';
import { until } from '../support/until.ts';
import { withFreshPages, withServer } from '../support/with-browser.ts';

/** Longer than the page waits before it reports that something was seen. */
const LONG_ENOUGH = 1000;

interface Conversations {
  readonly conversations: { peer: string; unread: number; readThrough: number | null }[];
}

const batchOf = (count: number, sender: string, recipient: string): unknown[] =>
  Array.from({ length: count }, (_, index) => ({ sender, recipient, content: `message ${index}` }));

describeInBrowser('a read marker', () => {
  const browser = withFreshPages();
  const server = withServer();

  /** Returns the id up to which somebody has read another person's messages. */
  async function readThrough(reader: string, peer: string): Promise<number | null> {
    const answer = await get(server.url, `/conversations?recipient=${reader}`);
    const found = (answer.body as Conversations).conversations.find((one) => one.peer === peer);
    return found?.readThrough ?? null;
  }

  const open = async (name: string, peer?: string): Promise<ChatPage> =>
    ChatPage.open(await browser.newContext(), server.url, name, peer === undefined ? {} : { peer });

  test('a read marker is sent for the open conversation, and not for the others', async () => {
    const alice = await open('alice', 'bob');
    const { id } = await send(server.url, 'alice', 'seen', { sender: 'bob' });
    await send(server.url, 'alice', 'not seen', { sender: 'carol' });
    await alice.unread('carol', 1);
    await until(async () => (await readThrough('alice', 'bob')) === id);
    await alice.unread('bob', 0);
    await sleep(LONG_ENOUGH);
    expect(await readThrough('alice', 'carol')).toBeNull();
    await alice.title('(1) bob · Tidings');
  });

  test('a read marker is not sent while the tab is hidden, and is sent once the tab is looked at', async () => {
    const dora = await open('dora', 'emil');
    await dora.setHidden(true);
    const { id } = await send(server.url, 'dora', 'in the back', { sender: 'emil' });
    await dora.shows('in the back');
    await dora.title('(1) emil · Tidings');
    await sleep(LONG_ENOUGH);
    expect(await readThrough('dora', 'emil')).toBeNull();
    await dora.setHidden(false);
    await until(async () => (await readThrough('dora', 'emil')) === id);
    await dora.title('emil · Tidings');
  });

  test('a read marker goes as far as the person has scrolled', async () => {
    const before = (await publish(server.url, batchOf(40, 'gina', 'fred'))).body as WireMessage[];
    const fred = await open('fred', 'gina');
    await fred.toNewest();
    await until(async () => (await readThrough('fred', 'gina')) === before.at(-1)?.id);

    await fred.log.evaluate((box: { scrollTop: number }) => (box.scrollTop = 500));
    await until(async () => (await fred.log.evaluate((box: { scrollTop: number }) => box.scrollTop)) === 500);
    await send(server.url, 'fred', 'below', { sender: 'gina' });
    await fred.unread('gina', 1);
    await sleep(LONG_ENOUGH);
    await fred.unread('gina', 1);
    expect(await readThrough('fred', 'gina')).toBe(before.at(-1)?.id);
    await fred.log.evaluate(
      (box: { scrollTop: number; scrollHeight: number }) => (box.scrollTop = box.scrollHeight),
    );
    await fred.unread('gina', 0);
    await until(async () => ((await readThrough('fred', 'gina')) ?? 0) > (before.at(-1)?.id ?? 0));
  });

  test('a read marker is not sent for messages that come before the browser has told of the scrolling', async () => {
    const before = (await publish(server.url, batchOf(40, 'lena', 'mia'))).body as WireMessage[];
    const mia = await open('mia', 'lena');
    await mia.toNewest();
    await until(async () => (await readThrough('mia', 'lena')) === before.at(-1)?.id);
    await mia.page.evaluate(`addEventListener('scroll', (event) => event.stopPropagation(), true)`);
    await mia.log.evaluate((box: { scrollTop: number }) => (box.scrollTop = 500));
    await send(server.url, 'mia', 'below', { sender: 'lena' });
    await mia.unread('lena', 1);
    await sleep(LONG_ENOUGH);
    await mia.unread('lena', 1);
  });

  test('a read marker is not sent for messages that only the edge of the view touches', async () => {
    const hans = await open('hans', 'ida');
    await hans.page.setViewportSize({ width: 900, height: 400 });
    // The message is taller than the view: its end is in view, and its beginning is far above.
    const tall = await send(server.url, 'hans', 'line\n'.repeat(100), { sender: 'ida' });
    await until(async () => (await readThrough('hans', 'ida')) === tall.id);
    await hans.log.evaluate((box: { scrollTop: number }) => (box.scrollTop = 0));
    await send(server.url, 'hans', 'beneath', { sender: 'ida' });
    await hans.unread('ida', 1);
    // Only the message's first lines come into view.
    await hans.log.evaluate((box: { scrollTop: number; scrollHeight: number; clientHeight: number }) => {
      box.scrollTop = box.scrollHeight - box.clientHeight - 68;
    });
    await sleep(LONG_ENOUGH);
    await hans.unread('ida', 1);
    expect(await readThrough('hans', 'ida')).toBe(tall.id);
  });

  test('a read marker of another device that read only a part leaves the right count', async () => {
    const ids: number[] = [];
    for (const text of ['1', '2', '3', '4', '5']) {
      ids.push((await send(server.url, 'jan', text, { sender: 'kim' })).id);
    }
    const jan = await open('jan');
    await jan.unread('kim', 5);
    const mark = (messageId?: number): Promise<unknown> =>
      publish(server.url, { sender: 'jan', recipient: 'kim', type: 'read', content: { messageId } });
    await mark(ids[1]);
    await jan.unread('kim', 3);
    await send(server.url, 'jan', '6', { sender: 'kim' });
    await jan.unread('kim', 4);
    await mark(ids[4]);
    await jan.unread('kim', 1);
    await jan.page.reload();
    await jan.live();
    await jan.unread('kim', 1);
  });

  test('a read marker of another device leaves the right count if the service cannot be asked at first', async () => {
    const first = await send(server.url, 'nora', '1', { sender: 'olaf' });
    for (const text of ['2', '3']) await send(server.url, 'nora', text, { sender: 'olaf' });
    const nora = await open('nora');
    await nora.unread('olaf', 3);
    let asked = 0;
    await nora.page.route('**/conversations?*', async (route) => {
      if (asked++ === 0) await route.fulfill({ status: 503 });
      else await route.continue();
    });
    const marker = { sender: 'nora', recipient: 'olaf', type: 'read', content: { messageId: first.id } };
    await publish(server.url, marker);
    await nora.unread('olaf', 2);
  });

  test('a read marker of another device leaves the right count if the next message is on its way', async () => {
    const ids: number[] = [];
    for (const text of ['1', '2', '3']) {
      ids.push((await send(server.url, 'lea', text, { sender: 'max' })).id);
    }
    const lea = await open('lea');
    await lea.unread('max', 3);
    let isFirst = true;
    await lea.page.route('**/conversations?*', async (route) => {
      if (isFirst) await send(server.url, 'lea', '4', { sender: 'max' });
      isFirst = false;
      await route.continue();
    });
    const marker = { sender: 'lea', recipient: 'max', type: 'read', content: { messageId: ids[0] } };
    await publish(server.url, marker);
    await until(() => !isFirst);
    await lea.unread('max', 3);
    await send(server.url, 'lea', '5', { sender: 'max' });
    await lea.unread('max', 4);
  });

  test('expired messages wait for no read marker: they do not count when the conversation is opened', async () => {
    const { id, createdAt } = await send(server.url, 'rex', 'of somebody else');
    const context = await browser.newContext();
    // This list was made before the message expired.
    const lastMessage = { id, sender: 'quin', recipient: 'pia', type: 'message', content: 'over', createdAt };
    await context.route('**/conversations?*', async (route) => {
      const response = await route.fetch();
      const list = (await response.json()) as object;
      const conversations = [
        { peer: 'quin', lastMessage, unread: 1, readThrough: null, peerReadThrough: null },
      ];
      await route.fulfill({ response, json: { ...list, conversations } });
    });
    const pia = await ChatPage.open(context, server.url, 'pia');
    await pia.unread('quin', 1);
    await pia.turnTo('quin');
    await pia.page.getByText('Nothing here yet').waitFor();
    await pia.unread('quin', 0);
    await send(server.url, 'pia', 'here', { sender: 'quin' });
    await pia.shows('here');
    await pia.unread('quin', 0);
  });
});
