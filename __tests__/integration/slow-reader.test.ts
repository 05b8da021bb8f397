import { afterEach, expect, test } from '@jest/globals';
import { get } from '../support/api.ts';
import { publishLargely } from '../support/publish-largely.ts';
import { residentBytes } from '../support/memory.ts';
import { RawDevice } from '../support/raw-device.ts';
import { cleanUp, Server } from '../support/server.ts';
import { until } from '../support/until.ts';

afterEach(cleanUp);

const LARGEST = 'x'.repeat(48 * 1024 - 2);
const MEBIBYTE = 1024 * 1024;

test('readers that take nothing cost a bounded buffer each, delay nobody, and get everything when they wake', async () => {
  const server = await Server.start({ tap: false });
  // The memory that publishing needs without readers.
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
});
