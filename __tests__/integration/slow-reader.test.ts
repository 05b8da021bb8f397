import { afterEach, expect, test } from '@jest/globals';
import { get } from '../support/api.ts';
import { readNumber } from '../support/file.ts';
import { publishLargely } from '../support/publish-largely.ts';
import { residentBytes } from '../support/memory.ts';
import { RawDevice } from '../support/raw-device.ts';
import { cleanUp, Server } from '../support/server.ts';
import { until } from '../support/until.ts';

afterEach(cleanUp);

const LARGEST = 'x'.repeat(48 * 1024 - 2);
const MEBIBYTE = 1024 * 1024;

test('readers that take nothing cost a bounded buffer each, hold nobody up, and get everything once they wake', async () => {
  const server = await Server.start({ tap: false });
  // What the program needs for publishing as such, before anybody reads.
  await publishLargely(server, 300, LARGEST);
  const quick = await RawDevice.open(server.port, 'recipient=bob');
  await quick.waitFor('live');
  const sleepers = await Promise.all(
    Array.from({ length: 40 }, () => RawDevice.open(server.port, 'recipient=bob', { asleep: true })),
  );
  const presence = async (): Promise<unknown> => (await get(server.url, '/presence?recipient=bob')).body;
  await until(async () => JSON.stringify(await presence()).includes('"devices":41'));
  const before = residentBytes(server.pid);
  let most = 0;
  const ids = await publishLargely(server, 1440, LARGEST, async (soFar) => {
    most = Math.max(most, residentBytes(server.pid));
    // As it happens: each batch is there before the next is published.
    await quick.waitForMessages(soFar.length);
  });
  expect(ids.length * LARGEST.length).toBeGreaterThan(67 * MEBIBYTE);
  expect(most - before).toBeLessThan(150 * MEBIBYTE);
  expect(quick.ids).toEqual(ids);

  for (const sleeper of sleepers.slice(0, 2)) {
    sleeper.wake();
    await sleeper.waitForMessages(ids.length);
    expect(sleeper.ids).toEqual(ids);
    expect(sleeper.said.map(({ event }) => event)).toEqual(['ready', 'live']);
  }
  expect(residentBytes(server.pid) - before).toBeLessThan(150 * MEBIBYTE);

  // Live again, after all of that.
  const [last] = await publishLargely(server, 1, 'afterwards');
  for (const device of [quick, ...sleepers.slice(0, 2)]) {
    await device.waitForMessages(ids.length + 1);
    expect(device.ids.at(-1)).toBe(last);
  }
  for (const sleeper of sleepers) sleeper.cut();
}, 90_000);

test('a reader that a purge overtook is ended, and told of the gap when it comes back', async () => {
  const server = await Server.start({ env: { RETENTION_MESSAGES: '300' } });
  const sleeper = await RawDevice.open(server.port, 'recipient=bob', { asleep: true });
  const quick = await RawDevice.open(server.port, 'recipient=bob');
  await quick.waitFor('live');
  // A batch is less than what is kept: the quick one is not overtaken on a slow machine either.
  const ids = await publishLargely(server, 3000, LARGEST.slice(0, 20_000), (soFar) =>
    quick.waitForMessages(soFar.length),
  );
  expect(quick.ids).toEqual(ids);
  expect(quick.said.map(({ event }) => event)).not.toContain('bye');

  // Else it would overtake the sleeper once more when that comes back.
  await until(() => readNumber(server.database, 'SELECT count(*) FROM messages') === 300, 'the purge');
  sleeper.wake();
  const bye = await sleeper.waitFor('bye');
  await sleeper.waitForEnd();
  // All of it up to where it was overtaken.
  expect(bye.data).toEqual({ type: 'bye', reason: 'too-slow' });
  expect(sleeper.ids.length).toBeGreaterThan(0);
  expect(sleeper.ids).toEqual(ids.slice(0, sleeper.ids.length));
  expect(Number.parseInt(bye.id ?? '')).toBe(sleeper.ids.at(-1));
  expect(sleeper.cursor).toBe(bye.id);

  const again = await RawDevice.open(server.port, 'recipient=bob', { lastEventId: sleeper.cursor ?? '' });
  const live = await again.waitFor('live');
  expect(again.said[0]?.data).toMatchObject({ type: 'ready', gap: 'purged', cursor: sleeper.cursor });
  expect(again.ids.length).toBeGreaterThanOrEqual(300);
  expect(again.ids).toEqual(ids.slice(-again.ids.length));
  expect(live.data).toMatchObject({ replayed: again.ids.length });
}, 60_000);
