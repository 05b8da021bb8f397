import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect } from '@jest/globals';
import { get, publish, send } from '../support/api.ts';
import { PushDevice } from '../support/push-device.ts';
import { PushNetwork, pushTest } from '../support/push-network.ts';
import { dealtWith, markRead } from '../support/push-state.ts';
import { cleanUp } from '../support/server.ts';

afterEach(cleanUp);

describe('a message for a person whose devices are closed', () => {
  pushTest('a message notifies each device, encrypted, signed, and with the unread count', async () => {
    const network = await PushNetwork.start();
    const server = await network.startServer({ VAPID_SUBJECT: 'mailto:operator@example.org' });
    const phone = await network.subscribe('bob');
    const tablet = await network.subscribe('bob');
    const other = await network.subscribe('carol');
    const sent = await send(network.url, 'bob', 'hi', { sender: 'alice' });
    for (const device of [phone, tablet]) {
      const [opened] = await network.waitFor(device, 1);
      expect(opened).toMatchObject({
        payload: {
          type: 'message',
          recipient: 'bob',
          sender: 'alice',
          peer: 'alice',
          id: sent.id,
          createdAt: sent.createdAt,
          content: 'hi',
          unread: 1,
        },
        ttl: 4 * 7 * 86_400,
        urgency: 'high',
        topic: expect.stringMatching(/^[\w-]{32}$/),
        claims: { aud: 'https://push.example.org', sub: 'mailto:operator@example.org' },
        publicKey: ((await get(network.url, '/push-key')).body as { publicKey: string }).publicKey,
      });
      expect(opened?.payload.cursor).toMatch(new RegExp(`^${sent.id}-`));
      // RFC 8292 §2: at most a day.
      expect((opened?.claims.exp ?? Infinity) * 1000).toBeLessThanOrEqual(Date.now() + 86_400_000);
      expect(opened?.payload).not.toHaveProperty('shortened');
    }
    await dealtWith(server.database, 'bob', sent.id);
    expect(network.pushed).toHaveLength(2);
    expect(await network.openedOf(other)).toEqual([]);
    expect((await server.stop()).code).toBe(0);
  });

  pushTest('a message does not notify a device that was ended by its id meanwhile', async () => {
    const network = await PushNetwork.start();
    const server = await network.startServer({ PUSH_DELAY_SECONDS: '2' });
    const phone = await network.subscribe('bob');
    const tablet = await network.subscribe('bob');
    const sent = await send(network.url, 'bob', 'hi', { sender: 'alice' });
    const ended = await fetch(`${network.url}/push-subscriptions`, {
      method: 'DELETE',
      body: new URLSearchParams({ id: '1' }),
    });
    expect(ended.status).toBe(204);
    await dealtWith(server.database, 'bob', sent.id);
    await network.waitFor(tablet, 1);
    expect(await network.openedOf(phone)).toEqual([]);
  });

  pushTest('each conversation has one notification, with its newest message', async () => {
    const network = await PushNetwork.start();
    const server = await network.startServer({ PUSH_DELAY_SECONDS: '4' });
    const phone = await network.subscribe('bob');
    await send(network.url, 'bob', 'one', { sender: 'alice' });
    // So that the second conversation is not due yet when the first one is.
    await sleep(300);
    await send(network.url, 'bob', 'three', { sender: 'carol' });
    await send(network.url, 'bob', 'two', { sender: 'alice' });
    const first = await network.waitFor(phone, 2);
    expect(first.map(({ payload }) => [payload.peer, payload.content, payload.unread] as const)).toEqual([
      ['alice', 'two', 3],
      ['carol', 'three', 3],
    ]);
    const last = await send(network.url, 'bob', 'four', { sender: 'alice' });
    await dealtWith(server.database, 'bob', last.id);
    const [alice, carol, again, ...others] = await network.openedOf(phone);
    expect(others).toEqual([]);
    expect(again?.payload).toMatchObject({ peer: 'alice', content: 'four', unread: 4 });
    expect(again?.topic).toBe(alice?.topic);
    expect(carol?.topic).not.toBe(alice?.topic);
  });

  pushTest('a message in the background, expired, or from oneself notifies nobody', async () => {
    const network = await PushNetwork.start();
    const server = await network.startServer({ PUSH_DELAY_SECONDS: '2' });
    const phone = await network.subscribe('bob');
    await network.subscribe('bob-at-work', { device: phone });
    await send(network.url, 'bob', 'silent', { sender: 'alice', background: true });
    await send(network.url, 'bob', 'telemetry', { sender: 'alice', type: 'telemetry', background: true });
    const sent = await send(network.url, 'alice', 'from bob', { sender: 'bob' });
    await markRead(network.url, 'alice', 'bob', sent.id);
    await send(network.url, 'bob', 'to oneself', { sender: 'bob' });
    await send(network.url, 'bob', 'from oneself', { sender: 'bob-at-work' });
    await send(network.url, 'bob', 'short', { sender: 'alice', ttl: 1 });
    const last = await send(network.url, 'bob', 'last', { sender: 'carol' });
    await dealtWith(server.database, 'bob', last.id);
    const opened = await network.openedOf(phone);
    expect(opened.map(({ payload }) => payload.content)).toEqual(['last']);
  });

  pushTest('a message of its own type notifies too, and the notification has the type', async () => {
    const network = await PushNetwork.start();
    await network.startServer();
    const phone = await network.subscribe('bob');
    const device = new PushDevice();
    await network.subscribe('room-tea', { device, reader: 'carol' });
    await send(network.url, 'bob', { n: 1 }, { sender: 'shop', type: 'order' });
    const [opened] = await network.waitFor(phone, 1);
    expect(opened?.payload).toMatchObject({
      type: 'message',
      messageType: 'order',
      peer: 'shop',
      content: { n: 1 },
      unread: 1,
    });
    const batch = ['message', 'order'].flatMap((type) =>
      [true, false].map((background) => ({ recipient: 'room-tea', type, background, content: type })),
    );
    await publish(network.url, batch);
    const [shown] = await network.waitFor(device, 1);
    expect(shown?.payload).toMatchObject({ messageType: 'order', unread: 2 });
    await send(network.url, 'bob', 'hi', { sender: 'alice' });
    expect((await network.waitFor(phone, 2))[1]?.payload).not.toHaveProperty('messageType');
  });

  pushTest('a notification is kept by the push service no longer than its message lives', async () => {
    const network = await PushNetwork.start();
    await network.startServer();
    const phone = await network.subscribe('bob');
    await send(network.url, 'bob', 'for an hour', { ttl: 3600 });
    const [opened] = await network.waitFor(phone, 1);
    expect(opened?.ttl).toBeGreaterThan(3500);
    expect(opened?.ttl).toBeLessThanOrEqual(3600);
    await send(network.url, 'bob', 'for a year', { ttl: 31_536_000 });
    expect((await network.waitFor(phone, 2))[1]?.ttl).toBe(4 * 7 * 86_400);
  });

  pushTest('a long message is shortened between two characters', async () => {
    const network = await PushNetwork.start();
    await network.startServer();
    const phone = await network.subscribe('bob');
    const emoji = '👩‍👩‍👧"\\'.repeat(1500);
    await send(network.url, 'bob', emoji);
    await send(network.url, 'bob', { list: Array.from({ length: 1000 }, () => 'é') });
    const [text, json] = await network.waitFor(phone, 2);
    for (const opened of [text, json]) {
      expect(opened?.payload.shortened).toBe(true);
      expect(opened?.payloadBytes).toBeLessThanOrEqual(3072);
      expect(opened?.payloadBytes).toBeGreaterThan(3060);
      expect((opened?.payload.content as string).isWellFormed()).toBe(true);
    }
    expect(emoji.startsWith(text?.payload.content as string)).toBe(true);
    expect(json?.payload.content).toMatch(/^\{"list":\["é","é",/);
  });

  pushTest('notifications begin after the subscription, and subscribing again changes nothing', async () => {
    const network = await PushNetwork.start();
    const server = await network.startServer();
    const before = await send(network.url, 'bob', 'before', { sender: 'alice' });
    const phone = await network.subscribe('bob');
    const first = await send(network.url, 'bob', 'first', { sender: 'alice' });
    await dealtWith(server.database, 'bob', first.id);
    await network.subscribe('bob', { device: phone });
    const second = await send(network.url, 'bob', 'second', { sender: 'alice' });
    await dealtWith(server.database, 'bob', second.id);
    const opened = await network.openedOf(phone);
    expect(opened.map(({ payload }) => payload.id as number)).toEqual([first.id, second.id]);
    expect(before.id).toBeLessThan(first.id);
  });
});

describe('read messages', () => {
  pushTest('a message that is read within the delay needs no notification', async () => {
    const network = await PushNetwork.start();
    const server = await network.startServer({ PUSH_DELAY_SECONDS: '5' });
    const phone = await network.subscribe('bob');
    const read = await send(network.url, 'bob', 'read at once', { sender: 'alice' });
    const unread = await send(network.url, 'bob', 'not read', { sender: 'carol' });
    await markRead(network.url, 'bob', 'alice', read.id);
    await dealtWith(server.database, 'bob', unread.id);
    const opened = await network.openedOf(phone);
    expect(opened.map(({ payload }) => [payload.peer, payload.unread] as const)).toEqual([['carol', 1]]);
  });

  pushTest('a message that is read later closes its notification once on every device', async () => {
    const network = await PushNetwork.start();
    const server = await network.startServer();
    const phone = await network.subscribe('bob');
    const tablet = await network.subscribe('bob');
    const first = await send(network.url, 'bob', 'one', { sender: 'alice' });
    await network.waitFor(phone, 1);
    const second = await send(network.url, 'bob', 'two', { sender: 'alice' });
    const other = await send(network.url, 'bob', 'three', { sender: 'carol' });
    await dealtWith(server.database, 'bob', other.id);
    const countOf = (device: PushDevice): number => network.pushed.filter((one) => device.isOf(one)).length;
    // The tablet may have had the first message, or the newest alone.
    const before = [phone, tablet].map((device) => [device, countOf(device)] as const);
    expect(countOf(phone)).toBe(3);
    // A device that shows nothing has nothing to close.
    const late = await network.subscribe('bob');
    // Not the message that is shown: it stays.
    await markRead(network.url, 'bob', 'alice', first.id);
    await markRead(network.url, 'bob', 'alice', second.id);
    for (const [device, count] of before) {
      const opened = await network.waitFor(device, count + 1);
      expect(opened.at(-1)).toMatchObject({
        payload: { type: 'read', recipient: 'bob', peer: 'alice', through: second.id, unread: 1 },
        urgency: 'normal',
        // In the place of the message, where the device has not got that yet.
        topic: opened.find(({ payload }) => payload.peer === 'alice')?.topic,
      });
    }
    await markRead(network.url, 'bob', 'alice', other.id);
    await markRead(network.url, 'bob', 'carol', other.id);
    const last = (await network.waitFor(phone, 5)).at(-1);
    expect(last?.payload).toEqual({
      type: 'read',
      recipient: 'bob',
      peer: 'carol',
      through: other.id,
      unread: 0,
    });
    expect(await network.openedOf(late)).toEqual([]);
    const reads = (await network.openedOf(phone)).filter(({ payload }) => payload.type === 'read');
    expect(reads.map(({ payload }) => payload.peer)).toEqual(['alice', 'carol']);
  });
});

describe('a message to a room', () => {
  pushTest('a message to a room notifies all but its sender, until a member has read it', async () => {
    const network = await PushNetwork.start();
    const server = await network.startServer();
    const [bob, carol] = [new PushDevice(), new PushDevice()];
    // Messages that were in the room before are not unread.
    await send(network.url, 'room-tea', 'old', { sender: 'alice' });
    for (const [reader, device] of Object.entries({ bob, carol })) {
      await network.subscribe(reader, { device });
      await network.subscribe('room-tea', { device, reader });
    }
    await send(network.url, 'bob', 'to bob alone', { sender: 'alice' });
    await send(network.url, 'room-coffee', 'of another room', { sender: 'alice' });
    await network.waitFor(bob, 1);
    const first = await send(network.url, 'room-tea', 'from alice', { sender: 'alice' });
    const [, opened] = await network.waitFor(bob, 2);
    expect(opened?.payload).toMatchObject({
      recipient: 'room-tea',
      peer: 'room-tea',
      sender: 'alice',
      unread: 2,
    });
    expect((await network.waitFor(carol, 1))[0]?.payload).toMatchObject({ peer: 'room-tea', unread: 1 });
    await dealtWith(server.database, 'room-tea', first.id);

    await markRead(network.url, 'bob', 'room-tea', first.id);
    expect((await network.waitFor(bob, 3))[2]?.payload).toEqual({
      type: 'read',
      recipient: 'room-tea',
      peer: 'room-tea',
      through: first.id,
      unread: 1,
    });
    const own = await send(network.url, 'room-tea', 'from bob', { sender: 'bob' });
    await dealtWith(server.database, 'room-tea', own.id);
    expect((await network.openedOf(carol)).map(({ payload }) => payload.content)).toEqual([
      'from alice',
      'from bob',
    ]);
    expect(await network.openedOf(bob)).toHaveLength(3);
    // Of the room, neither what was read nor what one sent oneself.
    await send(network.url, 'room-tea', 'from alice again', { sender: 'alice' });
    expect((await network.waitFor(bob, 4))[3]?.payload.unread).toBe(2);
  });
});

describe('a kill -9', () => {
  pushTest(
    'a kill -9 between a message and its notification loses none, and repeats none that was sent',
    async () => {
      const network = await PushNetwork.start();
      const first = await network.startServer({ PUSH_DELAY_SECONDS: '3600' });
      const phone = await network.subscribe('bob');
      await send(network.url, 'bob', 'one', { sender: 'alice' });
      const batch = ['two', 'three'].map((content) => ({ recipient: 'bob', sender: 'carol', content }));
      expect((await publish(network.url, batch)).status).toBe(201);
      await first.kill();
      expect(network.pushed).toEqual([]);

      const second = await network.startServer();
      const opened = await network.waitFor(phone, 2);
      expect(opened.map(({ payload }) => payload.content)).toEqual(['one', 'three']);
      await dealtWith(second.database, 'bob', 3);
      await second.kill();

      const third = await network.startServer();
      const last = await send(network.url, 'bob', 'four', { sender: 'alice' });
      await dealtWith(third.database, 'bob', last.id);
      // A notification that was open before is closed after.
      await markRead(network.url, 'bob', 'carol', 3);
      const all = await network.waitFor(phone, 4);
      expect(
        all.slice(2).map(({ payload }) => [payload.type, payload.id ?? payload.through] as const),
      ).toEqual([
        ['message', last.id],
        ['read', 3],
      ]);
    },
  );
});
