import { expect, test } from '@jest/globals';
import type { EventSource as EventSourceType } from 'eventsource';
import type { JSHandle } from 'playwright-core';
import { publish, send } from '../support/api.ts';
import { describeInBrowser } from '../support/browser.ts';
import { Server } from '../support/server.ts';
import { SECRET, signToken } from '../support/tokens.ts';
import { until } from '../support/until.ts';
import { withBrowser, withServer } from '../support/with-browser.ts';

/** The `readyState` of an EventSource that will come back. */
const EVENT_SOURCE_CONNECTING = 0;

/** For code that runs in the page: the browser has the real one. */
declare const EventSource: typeof EventSourceType;

/** An event, and who saw it: `onmessage`, or a listener for its name. */
interface Seen {
  readonly by: string;
  readonly id: string;
  readonly data: Record<string, unknown>;
}

describeInBrowser('an EventSource in a page', () => {
  const browser = withBrowser();
  const server = withServer({ env: { HEARTBEAT_SECONDS: '1' } });

  async function listen(query: string): Promise<{ handle: JSHandle<Seen[]>; seen: () => Promise<Seen[]> }> {
    const page = await browser.newPage();
    await page.goto(server.url);
    const handle = await page.evaluateHandle((url) => {
      const seen: Seen[] = [];
      const source = new EventSource(url);
      const note =
        (by: string) =>
        ({ data, lastEventId: id }: { data: unknown; lastEventId: string }): void => {
          seen.push({ by, id, data: JSON.parse(data as string) as Record<string, unknown> });
        };
      source.onmessage = note('onmessage');
      for (const name of ['ready', 'live', 'heartbeat', 'presence', 'bye']) {
        source.addEventListener(name, note(name));
      }
      return seen;
    }, `${server.url}/stream?${query}`);
    return { handle, seen: () => handle.jsonValue() };
  }

  test('an EventSource sees stored and ephemeral messages by `onmessage`, and what the server says by name alone', async () => {
    const { seen } = await listen('recipient=bob&presence=bob');
    await until(async () => (await seen()).some(({ by }) => by === 'live'));
    const stored = await send(server.url, 'bob', 'hi', { sender: 'alice' });
    const ephemeral = { sender: 'alice', recipient: 'bob', type: 'typing', content: true };
    expect((await publish(server.url, { ...ephemeral, ephemeral: true })).body).toEqual({ devices: 1 });
    let events = await seen();
    await until(async () => {
      events = await seen();
      return events.filter(({ by }) => by === 'onmessage').length === 2 && events.at(-1)?.by === 'heartbeat';
    });
    expect(events.map(({ by }) => by).filter((by) => by !== 'heartbeat')).toEqual([
      'ready',
      'presence',
      'live',
      'onmessage',
      'onmessage',
    ]);
    const [first, second] = events.filter(({ by }) => by === 'onmessage');
    expect(first?.data).toEqual(stored);
    expect(second?.data).toEqual({ ...ephemeral, createdAt: expect.any(String) });
    expect(second?.data).not.toHaveProperty('id');
    for (const { by, data } of events) {
      if (by !== 'onmessage') expect(data['type']).toBe(by);
    }
    // Neither the ephemeral message nor the heartbeat moves the position.
    expect(first?.id).toMatch(new RegExp(`^${stored.id}-`));
    expect(events.at(-1)?.id).toBe(first?.id);
  });

  test('an EventSource with `lastEventId` in its URL gets everything after it, before `live`', async () => {
    const sent = [];
    for (const content of ['a', 'b', 'c']) sent.push(await send(server.url, 'carol', content));
    const { seen } = await listen(`recipient=carol&lastEventId=${sent[0]?.id}`);
    await until(async () => (await seen()).some(({ by }) => by === 'live'));
    // After `live`, heartbeats come each second.
    const events = (await seen()).filter(({ by }) => by !== 'heartbeat');
    expect(events.map(({ by }) => by)).toEqual(['ready', 'onmessage', 'onmessage', 'live']);
    expect(events.slice(1, 3).map(({ data }) => data)).toEqual(sent.slice(1));
    expect(events.at(-1)?.data).toMatchObject({ replayed: 2 });
  });

  test('an EventSource goes on by itself after a change of keys: it comes back until the page has another session', async () => {
    const keyed = await Server.start({ env: { AUTH_SECRET: SECRET } });
    const context = await browser.newContext();
    const setSession = (value: string) =>
      context.addCookies([{ name: 'tidings', value, url: keyed.url, sameSite: 'Strict', httpOnly: true }]);
    await setSession(await signToken({ sub: 'alice' }, 'the secret of before, which was long enough'));
    const page = await context.newPage();
    await page.goto(keyed.url);
    const handle = await page.evaluateHandle((url) => {
      const seen: string[] = [];
      const source = new EventSource(url);
      source.onerror = () => seen.push(`error ${source.readyState}`);
      for (const name of ['ready', 'bye']) {
        source.addEventListener(name, ({ data }) => seen.push(`${name} ${data as string}`));
      }
      return seen;
    }, `${keyed.url}/stream`);
    const seen = () => handle.jsonValue();
    await until(async () => (await seen()).length >= 2);
    expect(await seen()).toEqual([
      'bye {"type":"bye","reason":"token-expired"}',
      `error ${EVENT_SOURCE_CONNECTING}`,
    ]);
    await setSession(await signToken({ sub: 'alice' }));
    await until(async () => (await seen()).some((line) => line.startsWith('ready')), 'ready');
    await context.close();
  });
});
