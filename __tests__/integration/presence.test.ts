import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { get } from '../support/api.ts';
import { expectProblem } from '../support/problems.ts';
import { rawRequest } from '../support/raw.ts';
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

describe('presence', () => {
  test('an address is offline, and was never seen, before its first device', async () => {
    expect((await get(server.url, '/presence?recipient=ann&recipient=ben')).body).toEqual({
      ann: { online: false, devices: 0, lastSeen: null },
      ben: { online: false, devices: 0, lastSeen: null },
    });
  });

  test('presence counts streams and held polls of every address that they follow', async () => {
    const devices = [await open('recipient=cid&recipient=dan'), await open('recipient=cid')];
    expect(await presenceOf(server, 'cid')).toMatchObject({ online: true, devices: 2 });
    expect(await presenceOf(server, 'dan')).toMatchObject({ online: true, devices: 1 });
    const gone = new AbortController();
    const poll = fetch(`${server.url}/messages?recipient=cid&recipient=eve&wait=60`, { signal: gone.signal });
    await until(async () => (await presenceOf(server, 'cid'))?.devices === 3);
    const eve = await presenceOf(server, 'eve');
    expect(eve).toMatchObject({ online: true, devices: 1 });
    expect(new Date(eve?.lastSeen ?? '').toISOString()).toBe(eve?.lastSeen);
    gone.abort();
    await expect(poll).rejects.toThrow();
    devices[1]?.cut();
    await until(async () => (await presenceOf(server, 'cid'))?.devices === 1);
    expect(await presenceOf(server, 'cid')).toMatchObject({ online: true });
  });

  test('an immediate poll and a question for presence do not count as devices', async () => {
    await get(server.url, '/messages?recipient=fay');
    await get(server.url, '/messages?recipient=fay&before=latest');
    await get(server.url, '/presence?recipient=fay');
    expect(await presenceOf(server, 'fay')).toEqual({ online: false, devices: 0, lastSeen: null });
  });

  test('presence takes 1 to 100 addresses, in a request and on a stream', async () => {
    const query = (name: string, count: number) =>
      Array.from({ length: count }, (_, index) => `${name}=many-${index}`).join('&');
    const answer = await get(server.url, `/presence?${query('recipient', 100)}`);
    expect(Object.keys(answer.body as object)).toHaveLength(100);
    expectProblem(await get(server.url, `/presence?${query('recipient', 101)}`), 400, ['/recipient']);
    expectProblem(await get(server.url, '/presence'), 400, ['/recipient']);
    const device = await open(`recipient=gus&${query('presence', 100)}`);
    await until(() => device.events.filter(({ event }) => event === 'presence').length === 100);
    device.cut();
    expectProblem(await get(server.url, `/stream?recipient=gus&${query('presence', 101)}`), 400, [
      '/presence',
    ]);
    expectProblem(await get(server.url, '/stream?recipient=gus&presence=$x'), 400, ['/presence']);
  });

  test('presence works for an address that is the name of a property of objects', async () => {
    const answer = await rawRequest(server.port, {
      path: '/presence?recipient=__proto__&recipient=constructor',
    });
    const offline = '{"online":false,"devices":0,"lastSeen":null}';
    expect(answer.text).toBe(`{"__proto__":${offline},"constructor":${offline}}`);
  });
});

describe('presence on a stream', () => {
  test('a stream tells presence once after ready, and again only when it changes', async () => {
    const watched = await open('recipient=hal');
    const watcher = await open('recipient=ida&presence=hal&presence=jan');
    await until(() => told(watcher, 'hal').length > 0 && told(watcher, 'jan').length > 0);
    const names = watcher.events.map(({ event }) => event);
    expect(names[0]).toBe('ready');
    expect(watcher.events.every(({ event, id }) => event !== 'presence' || id === undefined)).toBe(true);
    expect(told(watcher, 'hal')).toEqual([
      { type: 'presence', recipient: 'hal', online: true, devices: 1, lastSeen: expect.any(String) },
    ]);
    expect(told(watcher, 'jan')).toEqual([
      { type: 'presence', recipient: 'jan', online: false, devices: 0, lastSeen: null },
    ]);
    const more = [await open('recipient=hal'), await open('recipient=jan')];
    await until(() => told(watcher, 'jan').length > 1);
    expect(told(watcher, 'jan')[1]).toMatchObject({ online: true, devices: 1 });
    expect(told(watcher, 'hal')).toHaveLength(1);
    for (const device of [watched, watcher, ...more]) device.cut();
  });

  test('the presence on a stream counts the stream itself if it follows the watched address', async () => {
    const device = await open('recipient=kim&presence=kim');
    await until(() => told(device, 'kim').length > 0);
    expect(told(device, 'kim')).toMatchObject([{ online: true, devices: 1 }]);
  });
});
