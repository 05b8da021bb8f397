import { afterEach, describe, expect } from '@jest/globals';
import { get, send, type WireMessage } from '../support/api.ts';
import { readNumber, withDatabase } from '../support/file.ts';
import { pull, pullAll } from '../support/pull.ts';
import { cleanUp, Server } from '../support/server.ts';
import { DeviceStream } from '../support/stream.ts';
import { until } from '../support/until.ts';
import { clockTest, WrongClock } from '../support/wrong-clock.ts';

afterEach(cleanUp);

const HOUR = 3600;
const DAY = 24 * HOUR;

/** How far a time that the server gave is after the right one. */
const hoursAhead = (time: string): number => (Date.parse(time) - Date.now()) / (HOUR * 1000);

/** Waits for a heartbeat that was sent after the call, and gives back the time in it. */
async function nextHeartbeat(device: DeviceStream): Promise<string> {
  const heartbeats = () => device.events.filter(({ event }) => event === 'heartbeat');
  const { length } = heartbeats();
  // One may have been on its way.
  await until(() => heartbeats().length >= length + 2, 'two heartbeats');
  return (heartbeats().at(-1)?.data as { at: string }).at;
}

/** Waits until all of the upkeep has been through: two messages expire, one after the other. */
async function waitForUpkeep(server: Server): Promise<void> {
  const ids: number[] = [];
  for (const ttl of [1, 2]) ids.push((await send(server.url, 'nobody', 'short', { ttl })).id);
  const left = (): number =>
    readNumber(server.database, 'SELECT count(*) FROM messages WHERE id BETWEEN ? AND ?', ...ids);
  await until(() => left() === 0, 'the end of messages that expire');
}

/** Resumes where a message was the last that a device had, and gives back what it then gets. */
async function resumed(server: Server, cursor: string): Promise<{ messages: WireMessage[]; gap: unknown }> {
  const device = await DeviceStream.open(server.url, 'recipient=bob', { lastEventId: cursor });
  await device.waitFor('live');
  device.cut();
  return { messages: device.messages, gap: device.gap };
}

describe('a clock that goes a day ahead and comes back', () => {
  clockTest(
    'a clock that goes a day ahead and back changes times and ttl, and neither ids nor order nor missed messages',
    async () => {
      const clock = new WrongClock();
      const env = { ...clock.env, HEARTBEAT_SECONDS: '1', RETENTION_DAYS: '2' };
      const server = await Server.start({ env });
      const device = await DeviceStream.open(server.url, 'recipient=bob');
      await device.waitFor('live');
      const before = await send(server.url, 'bob', 'before', { idempotencyKey: 'one' });
      const hour = await send(server.url, 'bob', 'for an hour', { ttl: HOUR });
      const week = await send(server.url, 'bob', 'for a week', { ttl: 7 * DAY });
      await device.waitForMessages(3);
      const { cursor = '' } = device;

      clock.set(DAY);
      const ahead = await send(server.url, 'bob', 'ahead');
      expect(hoursAhead(ahead.createdAt)).toBeCloseTo(24, 1);
      expect((await get(server.url, `/messages/${hour.id}`)).status).toBe(404);
      expect(await resumed(server, '0')).toEqual({ messages: [before, week, ahead], gap: false });
      expect(hoursAhead(await nextHeartbeat(device))).toBeCloseTo(24, 1);
      await waitForUpkeep(server);
      const newest = await send(server.url, 'nobody', 'newest');
      expect(hoursAhead(newest.createdAt)).toBeCloseTo(24, 1);

      // A request that is held while the clock goes back ends when its time is up all the same.
      const poll = pull(server.url, 'recipient=nobody-else&wait=2');
      clock.set(0);
      // Before anything else is written to it.
      expect(hoursAhead(await nextHeartbeat(device))).toBeCloseTo(0, 1);
      // Also while nothing is published.
      const isBack = async (): Promise<boolean> =>
        (await get(server.url, `/messages/${hour.id}`)).status === 200;
      await until(isBack, 'the message that had expired by the wrong clock');
      const after = await send(server.url, 'bob', 'after');
      // The time of the message before, until the clock has caught up with it.
      expect(after.createdAt).toBe(newest.createdAt);
      expect(after.id).toBeGreaterThan(ahead.id);
      expect(await resumed(server, cursor)).toEqual({ messages: [ahead, after], gap: false });
      // The message that had expired by the wrong clock is there again.
      const all = [before, hour, week, ahead, after];
      expect(await resumed(server, '0')).toEqual({ messages: all, gap: false });
      expect((await poll).messages).toEqual([]);
      await waitForUpkeep(server);
      expect(await pullAll(server.url, 'bob')).toEqual(all);

      expect(await device.waitForMessages(5)).toEqual(all);
      expect(device.closed).toBe(false);
      expect((await server.stop()).code).toBe(0);
    },
  );

  clockTest('a clock that goes a day ahead and back costs no message, early or late', async () => {
    const clock = new WrongClock();
    clock.set(DAY);
    const env = { ...clock.env, RETENTION_DAYS: '1' };
    const first = await Server.start({ env });
    const ahead = await send(first.url, 'bob', 'ahead');
    clock.set(0);
    const after = await send(first.url, 'bob', 'after');
    await waitForUpkeep(first);
    expect(after.createdAt).toBe(ahead.createdAt);
    expect(await pullAll(first.url, 'bob')).toEqual([ahead, after]);
    expect((await first.stop()).code).toBe(0);

    const newest = readNumber(first.database, 'SELECT createdAt FROM position');
    expect(newest).toBeGreaterThanOrEqual(Date.parse(ahead.createdAt));
    // The same for a start whose clock is behind.
    clock.set(-DAY / 2);
    const again = await Server.start({ env, database: first.database });
    const behind = await send(again.url, 'bob', 'behind');
    expect(behind.id).toBeGreaterThan(after.id);
    expect(Date.parse(behind.createdAt)).toBe(newest);
    clock.set(0);
    await waitForUpkeep(again);
    expect(await resumed(again, '0')).toEqual({ messages: [ahead, after, behind], gap: false });
  });
});

describe('a clock that goes 40 days ahead for some seconds', () => {
  clockTest(
    'a clock that is 40 days ahead for some seconds removes nothing for good, by retention or by ttl',
    async () => {
      const clock = new WrongClock();
      const server = await Server.start({ env: { ...clock.env, RETENTION_DAYS: '30' } });
      const lasting = await send(server.url, 'bob', 'lasting');
      const week = await send(server.url, 'bob', 'for a week', { ttl: 7 * DAY });
      clock.set(40 * DAY);
      // Messages stored now are purged by that clock, so upkeep has run when they are gone.
      await waitForUpkeep(server);
      expect(await pullAll(server.url, 'bob')).toEqual([lasting]);
      clock.set(0);
      const after = await send(server.url, 'bob', 'after');
      // So far ahead it was wrong for sure: those that follow have the right time.
      expect(hoursAhead(after.createdAt)).toBeCloseTo(0, 1);
      await waitForUpkeep(server);
      expect(await resumed(server, '0')).toEqual({ messages: [lasting, week, after], gap: false });
    },
  );

  clockTest(
    'a start with a clock 40 days ahead removes nothing, and logs how to say that the clock is right',
    async () => {
      const clock = new WrongClock();
      const env = { ...clock.env, RETENTION_DAYS: '30' };
      const first = await Server.start({ env });
      const sent = await send(first.url, 'bob', 'hi');
      expect((await first.stop()).code).toBe(0);
      clock.set(40 * DAY);
      const doubtful = await Server.start({ env, database: first.database });
      await waitForUpkeep(doubtful);
      expect(await pullAll(doubtful.url, 'bob')).toEqual([sent]);
      expect(doubtful.stderr).toContain('RETENTION_CLOCK=trusted');
      withDatabase(doubtful.database, (database) =>
        database.exec("DELETE FROM messages WHERE recipient <> 'bob'"),
      );
      expect((await doubtful.stop()).code).toBe(0);
      const trusted = { ...env, RETENTION_CLOCK: 'trusted' };
      const server = await Server.start({ env: trusted, database: first.database });
      await waitForUpkeep(server);
      expect(await pullAll(server.url, 'bob')).toEqual([]);
    },
  );

  clockTest(
    'a clock that stays 40 days ahead over restarts removes nothing, though messages were stored by it',
    async () => {
      const clock = new WrongClock();
      const env = { ...clock.env, RETENTION_DAYS: '30' };
      const first = await Server.start({ env });
      const { database } = first;
      const lasting = await send(first.url, 'bob', 'lasting');
      const week = await send(first.url, 'bob', 'for a week', { ttl: 7 * DAY });
      await waitForUpkeep(first);
      clock.set(40 * DAY);
      const stored = [await send(first.url, 'bob', 'by the wrong clock')];
      await first.kill();
      for (let round = 0; round < 2; round++) {
        const ahead = await Server.start({ env, database });
        expect(ahead.stderr).toContain('RETENTION_CLOCK=trusted');
        stored.push(await send(ahead.url, 'bob', `again ${round}`));
        await waitForUpkeep(ahead);
        await (round === 0 ? ahead.kill() : ahead.stop());
      }
      clock.set(0);
      const right = await Server.start({ env, database });
      await waitForUpkeep(right);
      expect(await pullAll(right.url, 'bob')).toEqual([lasting, week, ...stored]);
    },
  );
});
