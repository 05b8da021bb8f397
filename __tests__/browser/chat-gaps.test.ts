import { afterEach, expect, test } from '@jest/globals';
import { get, publish, send } from '../support/api.ts';
import { describeInBrowser } from '../support/browser.ts';
import { ChatPage } from '../support/chat-page.ts';
import { withDatabase } from '../support/file.ts';
import { Gate } from '../support/gate.ts';
import { cleanUp, Server } from '../support/server.ts';
import { until } from '../support/until.ts';
import { withFreshPages } from '../support/with-browser.ts';

const TWO_DAYS = 2 * 86_400_000;

/** Returns the ids up to which Bob has told Alice that he has read. */
async function readMarkers({ url }: Server): Promise<number[]> {
  const { body } = (await get(url, '/messages?recipient=alice')) as {
    body: { messages: { type: string; content: { messageId: number } }[] };
  };
  const { messages } = body;
  return messages.filter(({ type }) => type === 'read').map(({ content }) => content.messageId);
}

/** Returns the id up to which Bob has read in the room. */
async function readThrough({ url }: Server): Promise<number | null> {
  const { body } = (await get(url, '/conversations?recipient=bob&room=room-tea')) as {
    body: { conversations: [{ readThrough: number | null }] };
  };
  return body.conversations[0].readThrough;
}

describeInBrowser('a gap', () => {
  const browser = withFreshPages();
  afterEach(cleanUp);

  const open = async (server: Server, name: string, peer: string): Promise<ChatPage> =>
    ChatPage.open(await browser.newContext(), server.url, name, { peer });

  test('a gap after a purge is told in words, and what is left is shown', async () => {
    const first = await Server.start();
    const { database, port } = first;
    const bob = await open(first, 'bob', 'alice');
    await send(first.url, 'bob', 'seen', { sender: 'alice' });
    await bob.shows('seen');
    await first.kill();
    await bob.state('offline');
    const elsewhere = await Server.start({ database });
    await send(elsewhere.url, 'bob', 'purged before it came', { sender: 'alice' });
    await elsewhere.stop();
    withDatabase(database, (file) =>
      file.prepare('UPDATE messages SET createdAt = createdAt - ?').run(TWO_DAYS),
    );
    const purging = await Server.start({ database, env: { RETENTION_DAYS: '1' } });
    await until(async () => {
      const answer = await fetch(`${purging.url}/messages?recipient=bob`);
      const { messages } = (await answer.json()) as { messages: { type: string }[] };
      // The newest read marker is never purged. The page may have been left before it sent one.
      return messages.every(({ type }) => type === 'read');
    }, 'the purge');
    await send(purging.url, 'bob', 'left', { sender: 'alice' });
    await purging.stop();

    await Server.start({ database, port });
    await bob.connectAnew();
    const gap = bob.page.getByRole('alert');
    await gap.getByText('Some messages were deleted').waitFor();
    await bob.live();
    await bob.shows('seen', 'left');
    await gap.getByRole('button', { name: 'Got it' }).click();
    await gap.waitFor({ state: 'hidden' });
    expect(bob.errors).toEqual([]);
  });

  test('a gap after a restore is told in words, and the messages in the log replace the ones that were shown', async () => {
    const first = await Server.start();
    const bob = await open(first, 'bob', 'alice');
    const tab = await ChatPage.open(bob.page.context(), first.url, 'bob', { peer: 'alice' });
    for (const text of ['lost 1', 'lost 2', 'lost 3'])
      await send(first.url, 'bob', text, { sender: 'alice' });
    await bob.shows('lost 1', 'lost 2', 'lost 3');
    await first.kill();
    await bob.state('offline');
    const elsewhere = await Server.start();
    const { database } = elsewhere;
    await publish(elsewhere.url, [
      { sender: 'alice', recipient: 'bob', content: 'in the new log' },
      { sender: 'carol', recipient: 'bob', content: 'one' },
    ]);
    await elsewhere.stop();
    await Server.start({ port: first.port, database });
    await bob.connectAnew();
    for (const page of [bob, tab]) {
      await page.page.getByRole('alert').getByText('restored from an older backup').waitFor();
      await page.shows('in the new log');
      await page.unread('carol', 1);
      await page.unread('alice', 0);
      expect(page.errors).toEqual([]);
    }
  });

  test('messages that were in view do not count as read in a log that was restored from an older backup', async () => {
    const first = await Server.start();
    const bob = await open(first, 'bob', 'alice');
    for (const text of ['lost 1', 'lost 2', 'lost 3'])
      await send(first.url, 'bob', text, { sender: 'alice' });
    await bob.shows('lost 1', 'lost 2', 'lost 3');
    await until(async () => (await readMarkers(first)).at(-1) === 3);
    await first.kill();
    await bob.state('offline');
    await bob.page.getByRole('searchbox').fill('al');
    const elsewhere = await Server.start();
    const { database } = elsewhere;
    await send(elsewhere.url, 'bob', 'in the new log', { sender: 'alice' });
    await elsewhere.stop();

    // This list was made before the marker, and comes after it.
    const gate = new Gate();
    await bob.page.route('**/conversations?*', async (route) => {
      const response = await route.fetch();
      await gate.passed;
      await route.fulfill({ response });
    });
    await Server.start({ port: first.port, database });
    await bob.connectAnew();
    await bob.page.getByRole('alert').getByText('restored from an older backup').waitFor();
    await bob.shows('in the new log');
    await until(async () => (await readMarkers(first)).length > 0, 'a marker of what is shown now');
    await bob.setHidden(true);
    const came = bob.page.waitForEvent('requestfinished', (one) => one.url().includes('/conversations?'));
    gate.open();
    await came;
    await send(first.url, 'bob', 'not looked at', { sender: 'alice' });
    await send(first.url, 'bob', 'nor this', { sender: 'alice' });
    await bob.shows('in the new log', 'not looked at', 'nor this');
    await bob.unread('alice', 2);
    expect(await readMarkers(first)).toEqual([1]);
    // A person who types in another field stays there.
    await bob.page.keyboard.type('ice');
    expect(await bob.page.getByRole('searchbox').inputValue()).toBe('alice');
    expect(bob.errors).toEqual([]);
  });

  test('history from before a restore that comes late is not shown in the restored log', async () => {
    const first = await Server.start();
    const batch = Array.from({ length: 70 }, (_, index) => ({
      sender: 'alice',
      recipient: 'bob',
      content: `lost ${index}\nin two lines`,
    }));
    await publish(first.url, batch);
    // Otherwise all unread messages are fetched with the first page.
    await send(first.url, 'alice', { messageId: batch.length }, { sender: 'bob', type: 'read' });
    const bob = await open(first, 'bob', 'alice');
    await until(async () => (await bob.texts()).length > 0);
    const gate = new Gate();
    let isHeld = false;
    await bob.page.route('**/messages?between=*', async (route) => {
      const isOlder = !route.request().url().includes('before=latest');
      const response = await route.fetch();
      isHeld ||= isOlder;
      if (isOlder) await gate.passed;
      await route.fulfill({ response });
    });
    await bob.log.evaluate((box: { scrollTop: number }) => (box.scrollTop = 0));
    await until(() => isHeld);
    await first.kill();
    await bob.state('offline');
    const elsewhere = await Server.start();
    const { database } = elsewhere;
    await send(elsewhere.url, 'bob', 'in the new log', { sender: 'alice' });
    await elsewhere.stop();
    await Server.start({ port: first.port, database });
    await bob.connectAnew();
    await bob.page.getByRole('alert').getByText('restored from an older backup').waitFor();
    await bob.shows('in the new log');
    const came = bob.page.waitForEvent('requestfinished', (one) => /between=.*before=\d/.test(one.url()));
    gate.open();
    await came;
    await send(first.url, 'bob', 'after it', { sender: 'alice' });
    await bob.shows('in the new log', 'after it');
    expect(bob.errors).toEqual([]);
  });

  test('read markers from before a restore are not sent to the restored log', async () => {
    const first = await Server.start();
    const bob = await open(first, 'bob', 'alice');
    await bob.setHidden(true);
    for (const text of ['lost 1', 'lost 2']) await send(first.url, 'bob', text, { sender: 'alice' });
    await bob.shows('lost 1', 'lost 2');
    await first.kill();
    await bob.state('offline');
    await bob.setHidden(false);
    await bob.unread('alice', 0);
    await bob.setHidden(true);
    const elsewhere = await Server.start();
    const { database } = elsewhere;
    const texts = ['new 1', 'new 2', 'new 3'];
    for (const text of texts) await send(elsewhere.url, 'bob', text, { sender: 'alice' });
    await elsewhere.stop();

    // The marker must wait until the page knows that the log is another.
    await bob.page.route('**/messages', (route) => route.abort());
    await Server.start({ port: first.port, database });
    await bob.connectAnew();
    await bob.page.getByRole('alert').getByText('restored from an older backup').waitFor();
    await bob.shows(...texts);
    await bob.page.unroute('**/messages');
    await bob.connectAnew();
    await until(async () => (await bob.banner.innerText()) === 'Live', 'nothing to wait');
    expect(await readMarkers(first)).toEqual([]);
    await bob.unread('alice', 3);
    await bob.setHidden(false);
    await bob.unread('alice', 0);
    await until(async () => (await readMarkers(first)).length > 0);
    expect(await readMarkers(first)).toEqual([3]);
  });

  test('a restore while no page was open leaves nothing in a room marked as read', async () => {
    const first = await Server.start();
    for (const text of ['lost 1', 'lost 2', 'lost 3'])
      await send(first.url, 'room-tea', text, { sender: 'alice' });
    const bob = await open(first, 'bob', 'room-tea');
    await bob.shows('lost 1', 'lost 2', 'lost 3');
    await bob.unread('room-tea', 0);
    await until(async () => (await readThrough(first)) === 3, 'the marker');
    // A marker that waits for its answer would be sent to the log that comes after this one.
    const waiting = "Object.keys(localStorage).filter((name) => name.includes(':outbox:')).length";
    await until(async () => (await bob.page.evaluate(waiting)) === 0, 'nothing to wait');
    await bob.page.goto('about:blank');
    await first.kill();
    const elsewhere = await Server.start();
    const { database } = elsewhere;
    for (const text of ['new 1', 'new 2']) await send(elsewhere.url, 'room-tea', text, { sender: 'alice' });
    await elsewhere.stop();
    await Server.start({ port: first.port, database });
    await bob.page.goto(first.url);
    await bob.live();
    await bob.unread('room-tea', 2);
    expect(bob.errors).toEqual([]);
  });
});
