import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { presenceOf, told } from '../support/presence.ts';
import { cleanUp, Server } from '../support/server.ts';
import { DeviceStream } from '../support/stream.ts';
import { until } from '../support/until.ts';

let server: Server;
beforeAll(async () => {
  server = await Server.start();
});
afterAll(cleanUp);

/** Opens a stream and waits until it is live. */
async function open(query: string): Promise<DeviceStream> {
  const device = await DeviceStream.open(server.url, query);
  await device.waitFor('live');
  return device;
}

test('a watcher learns that an address which stays away is offline, and nothing of one that is back in time', async () => {
  const watcher = await open('recipient=lea&presence=back&presence=away');
  const [back, away] = [await open('recipient=back'), await open('recipient=away')];
  await until(() => told(watcher, 'back').length === 2 && told(watcher, 'away').length === 2);
  back.cut();
  await until(async () => (await presenceOf(server, 'back'))?.devices === 0);
  const again = await open('recipient=back');
  away.cut();
  // By the time one that left later is told offline, the other would have been too.
  await until(() => told(watcher, 'away').length === 3);
  const [, , offline] = told(watcher, 'away');
  expect(offline).toMatchObject({ online: false, devices: 0 });
  expect(new Date(offline?.lastSeen ?? '').toISOString()).toBe(offline?.lastSeen);
  expect(told(watcher, 'back')).toHaveLength(2);
  expect(await presenceOf(server, 'back')).toMatchObject({ online: true, devices: 1 });
  expect(await presenceOf(server, 'away')).toMatchObject({
    online: false,
    devices: 0,
    lastSeen: offline?.lastSeen,
  });
  const returned = await open('recipient=away');
  await until(() => told(watcher, 'away').length === 4);
  expect(told(watcher, 'away')[3]).toMatchObject({ online: true, devices: 1 });
  for (const device of [again, returned, watcher]) device.cut();
});
