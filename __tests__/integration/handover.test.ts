import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { publish, send, type WireMessage } from '../support/api.ts';
import { CuttingProxy } from '../support/cutting-proxy.ts';
import { headCursor, liveOf } from '../support/pull.ts';
import { type Random, withRandom } from '../support/random.ts';
import { cleanUp, Server } from '../support/server.ts';
import { DeviceStream } from '../support/stream.ts';
import { until } from '../support/until.ts';

let server: Server;
beforeAll(async () => {
  server = await Server.start();
});
afterAll(cleanUp);

const PEOPLE = ['ann', 'ben', 'cleo', 'dan', 'eve', 'fay'];
const WANDERERS: readonly (readonly string[])[] = [
  ['ann'],
  ['ann'],
  ['ben'],
  ['cleo'],
  ['ann', 'ben'],
  ['ben', 'cleo'],
  ['cleo', 'dan'],
  ['dan', 'eve'],
  ['eve', 'fay', 'ann'],
  PEOPLE,
  ['*'],
  ['nobody', 'fay'],
];

/** A device that comes and goes. What it keeps are the ids that it saw, and its cursor. */
class Wanderer {
  readonly inboxes: readonly string[];
  readonly seen: number[] = [];
  /** How often the server said that there is a gap. */
  gaps = 0;
  visits = 0;
  #cursor = '0';

  constructor(inboxes: readonly string[]) {
    this.inboxes = inboxes;
  }

  /** Opens streams that are cut at random moments, until the end; then one more, until it has seen `last`. */
  async stream(random: Random, isOver: () => boolean, last: () => number): Promise<void> {
    for (;;) {
      const final = isOver();
      const device = await DeviceStream.open(server.url, this.#query(), { lastEventId: this.#cursor });
      if (final)
        await until(() => (device.ids.at(-1) ?? this.seen.at(-1) ?? 0) >= last(), 'the last message');
      // From cut before the first byte to long enough to go live.
      else if (random.chance(0.8)) await sleep(random.integer(0, 40));
      device.cut();
      this.visits++;
      this.seen.push(...device.ids);
      this.#cursor = device.cursor ?? this.#cursor;
      if ((device.gap ?? false) !== false) this.gaps++;
      if (final) return;
      await sleep(random.integer(0, 20));
    }
  }

  /** The same by polls, of which some are given up before the answer. */
  async poll(random: Random, isOver: () => boolean, last: () => number): Promise<void> {
    while (!isOver() || (this.seen.at(-1) ?? 0) < last()) {
      const limit = random.integer(1, 200);
      const path = `/messages?${this.#query()}&after=${this.#cursor}&limit=${limit}&wait=${isOver() ? 0 : 5}`;
      const signal = random.chance(0.3) ? AbortSignal.timeout(random.integer(1, 20)) : null;
      try {
        const response = await fetch(server.url + path, { signal });
        const page = (await response.json()) as { messages: WireMessage[]; cursor: string; gap: unknown };
        this.seen.push(...page.messages.map(({ id }) => id));
        this.#cursor = page.cursor;
        if (page.gap !== false) this.gaps++;
      } catch (error) {
        if (signal?.aborted !== true) throw error;
      }
      this.visits++;
    }
  }

  /** The ids that it is to see. */
  expected(messages: readonly WireMessage[]): number[] {
    return messages
      .filter(({ sender, recipient }) => this.inboxes.some((at) => ['*', sender, recipient].includes(at)))
      .map(({ id }) => id)
      .sort((one, other) => one - other);
  }

  #query(): string {
    return this.inboxes.map((address) => `recipient=${encodeURIComponent(address)}`).join('&');
  }
}

/** Publishes singles and batches among the people, one after the other. */
async function publishMany(random: Random, count: number, published: WireMessage[]): Promise<void> {
  let sent = 0;
  while (sent < count) {
    const batch = Array.from({ length: random.chance(0.5) ? 1 : random.integer(2, 30) }, () => ({
      sender: random.pick(PEOPLE),
      recipient: random.pick(PEOPLE),
      content: 'x'.repeat(random.chance(0.05) ? random.integer(0, 40_000) : random.integer(0, 100)),
    }));
    const answer = await publish(server.url, batch.length === 1 ? batch[0] : batch);
    expect(answer.status).toBe(201);
    published.push(...[answer.body as WireMessage[]].flat());
    sent += batch.length;
  }
}

test('devices that come and go while thousands of messages are published see each exactly once, in order', async () => {
  await withRandom(async (random) => {
    const published: WireMessage[] = [];
    let over = false;
    const isOver = (): boolean => over;
    const streaming = WANDERERS.map((inboxes) => new Wanderer(inboxes));
    const polling = WANDERERS.slice(3, 11).map((inboxes) => new Wanderer(inboxes));
    const lastFor = (wanderer: Wanderer) => (): number => wanderer.expected(published).at(-1) ?? 0;
    const wandering = [
      ...streaming.map((wanderer) => wanderer.stream(random, isOver, lastFor(wanderer))),
      ...polling.map((wanderer) => wanderer.poll(random, isOver, lastFor(wanderer))),
    ];
    await Promise.all(Array.from({ length: 4 }, () => publishMany(random, 1000, published)));
    const all = [...streaming, ...polling];
    // The case that connections take longer than publishes.
    while (all.some(({ visits }) => visits <= 5)) await publishMany(random, 10, published);
    over = true;
    await Promise.all(wandering);
    for (const wanderer of all) {
      expect(wanderer.seen).toEqual(wanderer.expected(published));
      expect(wanderer.gaps).toBe(0);
      expect(wanderer.visits).toBeGreaterThan(5);
    }
  });
});

describe('a connection that is cut', () => {
  let proxy: CuttingProxy;
  beforeAll(async () => {
    proxy = await CuttingProxy.listen(server.port);
  });
  afterEach(() => proxy.allowAll());
  afterAll(() => proxy.close());

  /** The device that was cut comes back, past the proxy. */
  async function comeBack(query: string, cut: DeviceStream): Promise<DeviceStream> {
    await cut.waitForEnd();
    const again = await DeviceStream.open(server.url, query, { lastEventId: cut.cursor ?? '' });
    await again.waitFor('live');
    again.cut();
    return again;
  }

  test('an event whose replayed frame is cut at any byte is not seen, and comes again whole', async () => {
    const start = await headCursor(server.url);
    const first = await send(server.url, 'rita', 'the first');
    const second = await send(server.url, 'rita', { text: 'the second: déjà vu, 🙂', lines: 'a\nb\r\n' });
    const whole = await DeviceStream.open(server.url, 'recipient=rita', { lastEventId: start });
    await whole.waitFor('live');
    whole.cut();
    const frames = Buffer.from(whole.raw.slice(whole.raw.indexOf('data: {"id":')));
    const length = frames.indexOf('event: live');
    const lead = Buffer.byteLength(whole.raw) - frames.length;
    const firstLength = frames.indexOf('\n\n') + 2;
    const headers = Buffer.byteLength(rawHead(whole));

    for (let bytes = 0; bytes <= length; bytes++) {
      proxy.allow(headers + lead + bytes);
      const cut = await DeviceStream.open(proxy.origin, 'recipient=rita', { lastEventId: start });
      const again = await comeBack('recipient=rita', cut);
      expect(cut.raw.slice(lead)).toBe(frames.subarray(0, bytes).toString());
      const complete = bytes === length ? 2 : bytes >= firstLength ? 1 : 0;
      expect(cut.messages).toEqual([first, second].slice(0, complete));
      expect(again.messages).toEqual([first, second].slice(complete));
      expect(again.gap).toBe(false);
    }
  });

  test('an event whose live frame is cut at any byte is not seen, and comes again whole', async () => {
    let length = Infinity;
    for (let bytes = 1; bytes <= length; bytes++) {
      proxy.allowAll();
      const device = await DeviceStream.open(proxy.origin, 'recipient=lars');
      await device.waitFor('live');
      const lead = device.raw.length;
      proxy.allow(bytes);
      const sent = await send(server.url, 'lars', 'hé!');
      const again = await comeBack('recipient=lars', device);
      const { cursor: id } = await liveOf(again);
      const frame = Buffer.from(`data: ${JSON.stringify(sent)}\nid: ${id}\n\n`);
      length = frame.length;
      expect(device.raw.slice(lead)).toBe(frame.subarray(0, bytes).toString());
      expect(device.messages).toEqual(bytes === length ? [sent] : []);
      // A client that takes an id when its line has come has the data by then, but for the last byte of the block.
      expect(/^id: .*\n/m.test(device.raw.slice(lead))).toBe(bytes >= length - 1);
      expect(again.messages).toEqual(bytes === length ? [] : [sent]);
    }
  });
});

/** The status line and headers of a stream as they were on the wire. */
function rawHead({ response }: DeviceStream): string {
  const lines = [`HTTP/1.1 ${response.statusCode} ${response.statusMessage}`];
  for (let at = 0; at < response.rawHeaders.length; at += 2) {
    lines.push(`${response.rawHeaders[at]}: ${response.rawHeaders[at + 1]}`);
  }
  return `${lines.join('\r\n')}\r\n\r\n`;
}
