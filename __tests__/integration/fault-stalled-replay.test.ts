import { statSync } from 'node:fs';
import { afterEach, expect, test } from '@jest/globals';
import { publishLargely } from '../support/publish-largely.ts';
import { RawDevice } from '../support/raw-device.ts';
import { cleanUp, Server } from '../support/server.ts';

afterEach(cleanUp);

const MEBIBYTE = 1024 * 1024;
const LARGEST = 'x'.repeat(48 * 1024 - 2);

test('devices that stall in the middle of a long replay do not make the write-ahead log grow', async () => {
  const server = await Server.start();
  await server.waitForCheck();
  const walSize = (): number => statSync(`${server.database}-wal`).size;
  const ids = await publishLargely(server, 500, LARGEST);
  const stalled = await Promise.all(
    ['recipient=bob', 'recipient=*', 'recipient=bob&recipient=ann'].map((query) =>
      RawDevice.open(server.port, query, { lastEventId: '0' }),
    ),
  );
  await Promise.all(
    stalled.map(async (device) => {
      await device.waitForMessages(1);
      device.sleep();
    }),
  );
  let largest = 0;
  ids.push(
    ...(await publishLargely(server, 2500, LARGEST, () => {
      largest = Math.max(largest, walSize());
    })),
  );
  expect(2500 * LARGEST.length).toBeGreaterThan(100 * MEBIBYTE);
  expect(largest).toBeLessThan(50 * MEBIBYTE);
  for (const device of stalled) {
    // It had stalled in the middle, not at the end.
    expect(device.ids.length).toBeLessThan(500);
    device.wake();
    await device.waitForMessages(ids.length);
    await device.waitFor('live');
    expect(device.ids).toEqual(ids);
    expect(device.said.map(({ event }) => event)).toEqual(['ready', 'live']);
    device.cut();
  }
  expect(walSize()).toBeLessThan(50 * MEBIBYTE);
  expect((await server.stop()).code).toBe(0);
});
