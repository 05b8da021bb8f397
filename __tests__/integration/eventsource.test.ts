import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from '@jest/globals';
import { EventSource } from 'eventsource';
import { publish, send, type WireMessage } from '../support/api.ts';
import { RawDevice } from '../support/raw-device.ts';
import { cleanUp, newFolder, Server } from '../support/server.ts';
import { until } from '../support/until.ts';

afterEach(cleanUp);

/** A page's EventSource, and what it was given. */
class Page {
  readonly messages: WireMessage[] = [];
  readonly lastEventIds: string[] = [];
  readonly said: { type: string; data: Record<string, unknown> }[] = [];
  readonly source: EventSource;

  private constructor(url: string) {
    this.source = new EventSource(url);
    this.source.onmessage = ({ data, lastEventId }) => {
      this.messages.push(JSON.parse(data as string) as WireMessage);
      this.lastEventIds.push(lastEventId);
    };
    for (const type of ['ready', 'live', 'bye']) {
      this.source.addEventListener(type, ({ data }) =>
        this.said.push({ type, data: JSON.parse(data as string) as Record<string, unknown> }),
      );
    }
  }

  /** Opens it, and waits until it is live. */
  static async open(origin: string, query: string): Promise<Page> {
    const page = new Page(`${origin}/stream?${query}`);
    await page.waitFor('live', 1);
    return page;
  }

  count(type: string): number {
    return this.said.filter((one) => one.type === type).length;
  }

  waitFor(type: string, count: number): Promise<void> {
    return until(() => this.count(type) >= count, `${count} times ${type}`);
  }

  waitForMessages(count: number): Promise<void> {
    return until(() => this.messages.length >= count, `${count} messages, not ${this.messages.length}`);
  }
}

describe('an EventSource', () => {
  const pages: Page[] = [];
  afterEach(() => {
    for (const { source } of pages.splice(0)) source.close();
  });
  const open = async (server: Server, query: string): Promise<Page> => {
    const page = await Page.open(server.url, query);
    pages.push(page);
    return page;
  };

  test('every EventSource of the recipient and of the sender gets every message', async () => {
    const server = await Server.start();
    const devices = await Promise.all(
      ['recipient=bob', 'recipient=bob', 'recipient=alice', 'recipient=alice&recipient=bob'].map((query) =>
        open(server, query),
      ),
    );
    const bystander = await open(server, 'recipient=carol');
    const sent: WireMessage[] = [];
    for (const content of ['hi', { nested: ['ü', '\u2028', 'a\r\nb'] }, null, 'x'.repeat(48_000)]) {
      sent.push(await send(server.url, 'bob', content, { sender: 'alice' }));
    }
    for (const device of devices) {
      await device.waitForMessages(sent.length);
      expect(device.messages).toEqual(sent);
      for (const [index, id] of device.lastEventIds.entries()) {
        expect(id).toMatch(new RegExp(`^${sent[index]?.id}-[0-9a-z]+$`));
      }
    }
    // The last message shows that nothing else came.
    const last = await send(server.url, 'carol', 'last');
    await bystander.waitForMessages(1);
    expect(bystander.messages).toEqual([last]);
  });

  test('an EventSource connects again after a crash of the server, loses nothing, and gets nothing twice', async () => {
    const database = join(newFolder(), 'tidings.sqlite');
    let server = await Server.start({ database });
    const { port } = server;
    const [first, second] = [await open(server, 'recipient=bob'), await open(server, 'recipient=alice')];
    const sent: WireMessage[] = [];
    const sendMore = async (count: number): Promise<void> => {
      const batch = Array.from({ length: count }, (_, index) => ({
        sender: 'alice',
        recipient: 'bob',
        content: `${sent.length + index}`,
      }));
      const answer = await publish(server.url, batch);
      expect(answer.status).toBe(201);
      sent.push(...(answer.body as WireMessage[]));
    };
    for (let round = 1; round <= 2; round++) {
      await sendMore(200);
      if (round === 1) await Promise.all([first.waitForMessages(200), second.waitForMessages(200)]);
      // In the second round it may be killed before they have it all.
      await server.kill();
      server = await Server.start({ database, port });
      // Before they are back.
      await sendMore(100);
      await first.waitFor('live', round + 1);
      await second.waitFor('live', round + 1);
    }
    await sendMore(3);
    for (const device of [first, second]) {
      await device.waitForMessages(sent.length);
      expect(device.messages).toEqual(sent);
      expect(device.said.filter(({ type }) => type === 'ready').map(({ data }) => data['gap'])).toEqual([
        false,
        false,
        false,
      ]);
    }
  });

  test('an EventSource that got bye goes on at its position with the next server', async () => {
    const database = join(newFolder(), 'tidings.sqlite');
    const before = await Server.start({ database });
    const device = await open(before, 'recipient=bob');
    const sent = [await send(before.url, 'bob', 1)];
    await device.waitForMessages(1);
    expect((await before.stop()).code).toBe(0);
    await device.waitFor('bye', 1);
    const after = await Server.start({ database, port: before.port });
    sent.push(await send(after.url, 'bob', 2));
    await device.waitForMessages(2);
    expect(device.messages).toEqual(sent);
  });
});

test('curl -N prints every event as it happens', async () => {
  const server = await Server.start();
  const curl = spawn('curl', ['-sN', `${server.url}/stream?recipient=bob`], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const closed = once(curl, 'close') as Promise<[code: number]>;
  try {
    let output = '';
    curl.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
    await until(() => output.includes('event: live'), 'the live event');
    for (const content of ['one', 'two', 'three']) {
      const sent = await send(server.url, 'bob', content);
      await until(() => output.includes(`\n\ndata: ${JSON.stringify(sent)}\nid: ${sent.id}-`), content);
    }
    expect(output).toMatch(/^event: ready\nretry: \d{4}\ndata: \{.*\}\nid: 0\n\n/);
    await server.stop();
    const [code] = await closed;
    // Closing the connection is how the stream ends: no error to curl.
    expect(code).toBe(0);
    expect(output).toMatch(
      /event: bye\nretry: \d{4}\ndata: \{"type":"bye","reason":"shutdown"\}\nid: 3-\w+\n\n$/,
    );
  } finally {
    curl.kill();
  }
});

test('an HTTP/1.0 client gets the same bytes as other clients', async () => {
  const server = await Server.start();
  const clients = await Promise.all(
    (['1.0', '1.1'] as const).map((httpVersion) =>
      RawDevice.open(server.port, 'recipient=bob', { httpVersion, asleep: true }),
    ),
  );
  const bytes = clients.map((client) => {
    const received = { body: '' };
    client.socket.on('data', (text: unknown) => (received.body += text as string));
    client.wake();
    return received;
  });
  await Promise.all(clients.map((client) => client.waitFor('live')));
  const sent = [await send(server.url, 'bob', 'hi'), await send(server.url, 'bob', 'x'.repeat(48_000))];
  for (const client of clients) {
    await client.waitForMessages(2);
    expect(client.ids).toEqual(sent.map(({ id }) => id));
    expect(client.head).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    expect(client.head).not.toMatch(/^(Transfer-Encoding|Content-Length):/im);
    expect(client.head).toMatch(/^Connection: close\r?$/im);
  }
  const [old, current] = bytes.map(({ body }) =>
    body.slice(body.indexOf('event: ready')).replace(/^retry: \d+$/m, 'retry: its own'),
  );
  expect(old).toBe(current);
  await server.stop();
  for (const client of clients) await client.waitForEnd();
});
