import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { get, publish, send, type WireMessage } from '../support/api.ts';
import { expectProblem } from '../support/problems.ts';
import { cleanUp, Server } from '../support/server.ts';
import { DeviceStream, type StreamOptions } from '../support/stream.ts';
import { until } from '../support/until.ts';

let server: Server;
/** The whole log at the start: three messages for bob between others. */
let log: WireMessage[];
let bobs: WireMessage[];

/** Opens a stream, waits until its replay has ended and returns it. */
async function open(query: string, options?: StreamOptions): Promise<DeviceStream> {
  const device = await DeviceStream.open(server.url, query, options);
  await device.waitFor('live');
  return device;
}

/** The cursor of a message: the id of its frame. */
const cursorOf = (device: DeviceStream, message: WireMessage | undefined) =>
  device.events.find(({ event, data }) => event === 'message' && (data as WireMessage).id === message?.id)
    ?.id ?? '';

beforeAll(async () => {
  server = await Server.start();
  log = [];
  for (const [recipient, sender] of [
    ['bob', 'alice'],
    ['carol', 'alice'],
    ['alice', 'bob'],
    ['carol', 'dora'],
    ['bob', 'bob'],
    ['alice', 'dora'],
  ]) {
    log.push(await send(server.url, recipient ?? '', log.length, { sender }));
  }
  bobs = log.filter(({ recipient, sender }) => [recipient, sender].includes('bob'));
});
afterAll(cleanUp);

describe('the start of a stream', () => {
  test('a stream starts live if neither a cursor nor last is given', async () => {
    const device = await open('recipient=bob');
    const sent = await send(server.url, 'bob', 'new', { type: 'note' });
    expect(await device.waitForMessages(1)).toEqual([sent]);
    expect(device.find('live')?.data).toMatchObject({ replayed: 0 });
    bobs.push(sent);
    log.push(sent);
  });

  test('a stream starts after the header Last-Event-ID, else after lastEventId, else with last', async () => {
    const all = await open('recipient=bob&lastEventId=0');
    const [first, second, third, fourth] = bobs;
    const at = (message: WireMessage | undefined) => cursorOf(all, message);
    for (const [query, lastEventId, expected] of [
      [`lastEventId=${at(first)}&last=1`, at(second), [third, fourth]],
      [`lastEventId=0`, at(third), [fourth]],
      [`last=1000`, at(third), [fourth]],
      [`lastEventId=${at(second)}&last=1`, undefined, [third, fourth]],
      [`last=1&lastEventId=0`, undefined, bobs],
      [`lastEventId=${at(second)}`, '', [third, fourth]],
      [`last=3`, '', [second, third, fourth]],
      [`last=0`, at(third), [fourth]],
      [`last=0`, at(fourth), []],
    ] as const) {
      const options = lastEventId === undefined ? {} : { lastEventId };
      const device = await open(`recipient=bob&${query}`, options);
      expect({ query, lastEventId, messages: device.messages }).toEqual({
        query,
        lastEventId,
        messages: expected,
      });
      expect(device.find('ready')?.data).toMatchObject({ gap: false });
      expect(device.find('live')?.data).toMatchObject({ replayed: expected.length });
      device.cut();
    }
  });

  test.each([0, 1, 2, 1000])('last=%d starts a stream with the newest of its inboxes', async (last) => {
    const device = await open(`recipient=bob&recipient=carol&last=${last}`);
    const both = log.filter(({ recipient, sender }) =>
      [recipient, sender].some((one) => /bob|carol/.test(one)),
    );
    expect(device.messages).toEqual(last === 0 ? [] : both.slice(-last));
    expect(device.find('ready')?.data).toMatchObject({ gap: false });
  });

  test('last=1000 starts a stream with the newest 1000 of more messages', async () => {
    const batch = (from: number) =>
      Array.from({ length: 700 }, (_, index) => ({ recipient: 'many', content: from + index }));
    for (const from of [0, 700]) expect((await publish(server.url, batch(from))).status).toBe(201);
    const device = await open('recipient=many&last=1000');
    expect(device.messages.map(({ content }) => content)).toEqual(
      Array.from({ length: 1000 }, (_, index) => 400 + index),
    );
    // It would go on at its start if it were cut at once.
    const ready = device.find('ready');
    expect(ready?.data).toMatchObject({ type: 'ready', cursor: ready?.id, gap: false });
    const again = await open('recipient=many', { lastEventId: ready?.id ?? '' });
    expect(again.ids).toEqual(device.ids);
  });

  test.each(['-1', '1001', '1.5', 'x', '', '1e2', ' 1', '0x1'])('last=%s of streams is 400', async (last) => {
    expectProblem(await get(server.url, `/stream?recipient=bob&last=${encodeURIComponent(last)}`), 400, [
      '/last',
    ]);
  });

  test('a stream starts after a bare number that a person typed', async () => {
    const [first, second] = bobs;
    const device = await open('recipient=bob', { lastEventId: String(first?.id) });
    expect(device.messages[0]).toEqual(second);
    expect(device.find('ready')?.data).toMatchObject({ gap: false });
    const inQuery = await open(`recipient=bob&lastEventId=${first?.id ?? 0}`);
    expect(inQuery.ids).toEqual(device.ids);
  });

  test('a stream starts after a cursor that lies between messages of its inboxes', async () => {
    const whole = await open('recipient=*&lastEventId=0');
    const device = await open('recipient=bob', { lastEventId: cursorOf(whole, log[3]) });
    expect(device.messages).toEqual(bobs.filter(({ id }) => id > (log[3]?.id ?? 0)));
    expect(device.find('ready')?.data).toMatchObject({ gap: false });
  });

  test('a stream goes on where it stopped before a crash and a restart of the server', async () => {
    const before = await Server.start();
    const first = await DeviceStream.open(before.url, 'recipient=bob');
    await first.waitFor('live');
    await send(before.url, 'bob', 1);
    await first.waitForMessages(1);
    first.cut();
    const missed = [await send(before.url, 'bob', 2)];
    await before.kill();
    const after = await Server.start({ database: before.database });
    missed.push(await send(after.url, 'bob', 3));
    const again = await DeviceStream.open(after.url, 'recipient=bob', { lastEventId: first.cursor ?? '' });
    await again.waitFor('live');
    expect(again.messages).toEqual(missed);
    expect(again.find('ready')?.data).toMatchObject({ gap: false });
    await after.kill();
  });
});

describe('gaps', () => {
  test.each(['x', '-1', '42-', '-k3f9', '1.5', '1e3', 'null', '9'.repeat(40), '1-UPPER case', '💥'])(
    'the cursor %s is a gap "unknown", and the replay starts at the oldest message held',
    async (cursor) => {
      const device = await open(`recipient=bob&lastEventId=${encodeURIComponent(cursor)}`);
      expect(device.messages).toEqual(bobs);
      expect(device.find('ready')?.data).toMatchObject({ gap: 'unknown' });
      // It has the whole now: a cursor of this stream leaves no gap.
      const again = await open('recipient=bob', { lastEventId: device.find('ready')?.id ?? '' });
      expect(again.messages).toEqual(bobs);
    },
  );

  test('an unknown cursor in the header is a gap, and the replay starts at the oldest message held', async () => {
    const device = await open('recipient=bob&last=1', { lastEventId: 'nonsense' });
    expect(device.messages).toEqual(bobs);
    expect(device.find('ready')?.data).toMatchObject({ gap: 'unknown' });
  });

  test('a cursor ahead of the log, or of another epoch or log, is a gap "restored" with a whole replay', async () => {
    const all = await open('recipient=bob&lastEventId=0');
    const [number, tag] = cursorOf(all, bobs[0]).split('-');
    const other = await Server.start();
    await send(other.url, 'bob', 1);
    const elsewhere = await DeviceStream.open(other.url, 'recipient=bob&last=1');
    await elsewhere.waitForMessages(1);
    for (const cursor of [
      `1000000-${tag ?? ''}`,
      '1000000',
      `${number ?? ''}-zzzzzz`,
      elsewhere.cursor ?? '',
    ]) {
      const device = await open('recipient=bob', { lastEventId: cursor });
      expect({ cursor, messages: device.messages }).toEqual({ cursor, messages: bobs });
      expect(device.find('ready')?.data).toMatchObject({ gap: 'restored' });
    }
    await other.kill();
  });
});

describe('the inboxes of a stream', () => {
  const addresses = (count: number) =>
    Array.from({ length: count }, (_, index) => `recipient=inbox-${index}`).join('&');

  test('a stream has up to 100 inboxes', async () => {
    const device = await open(addresses(100));
    const sent = [await send(server.url, 'inbox-0', 1), await send(server.url, 'inbox-99', 2)];
    expect(await device.waitForMessages(2)).toEqual(sent);
    expectProblem(await get(server.url, `/stream?${addresses(101)}`), 400, ['/recipient']);
    expectProblem(await get(server.url, '/stream'), 400, ['/recipient']);
  });

  test('a stream of * has the whole log', async () => {
    const device = await open('recipient=*&lastEventId=0');
    expect(device.messages.slice(0, log.length)).toEqual(log);
    const sent = await send(server.url, 'somebody', 1, { sender: 'else' });
    await until(() => device.ids.includes(sent.id));
    expect(device.messages.at(-1)).toEqual(sent);
  });

  test('a stream gives a message of two of its inboxes once, replayed and live', async () => {
    const both = 'recipient=yan&recipient=zoe&recipient=yan';
    const stored = [];
    for (const [sender, recipient] of [
      ['yan', 'zoe'],
      ['zoe', 'yan'],
      ['yan', 'yan'],
    ]) {
      stored.push(await send(server.url, recipient ?? '', 1, { sender }));
    }
    const device = await open(`${both}&lastEventId=0`);
    expect(device.messages).toEqual(stored);
    stored.push(await send(server.url, 'zoe', 2, { sender: 'yan' }));
    stored.push(await send(server.url, 'yan', 3, { sender: 'zoe' }));
    expect(await device.waitForMessages(stored.length)).toEqual(stored);
  });
});
