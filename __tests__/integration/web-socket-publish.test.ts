import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { get, publish, type WireMessage } from '../support/api.ts';
import { scrape } from '../support/exposition.ts';
import { LockHolder } from '../support/lock-holder.ts';
import { residentBytes } from '../support/memory.ts';
import { pullAll } from '../support/pull.ts';
import { clientFrame, RawSocket } from '../support/raw-socket.ts';
import { cleanUp, Server } from '../support/server.ts';
import type { StreamEvent } from '../support/device.ts';
import { SocketDevice, type SocketEvent } from '../support/socket-device.ts';
import { bearer, type Grants, SECRET, tokenFor } from '../support/tokens.ts';
import { testWithTool } from '../support/tool.ts';
import { until } from '../support/until.ts';

const WHOLE_TEXT = 0x81;
const MEBIBYTE = 1024 * 1024;

/** A problem, as POST answers it. */
const problem = (status: number, ...paths: readonly string[]): unknown => ({
  type: expect.stringMatching(/^\/problems#./),
  title: expect.any(String),
  status,
  detail: expect.any(String),
  ...(paths.length === 0 ? {} : { errors: paths.map((path) => ({ path, message: expect.any(String) })) }),
});

describe('a publish on a socket', () => {
  let server: Server;
  let device: SocketDevice;
  beforeAll(async () => {
    server = await Server.start();
    device = await SocketDevice.open(server.url, 'recipient=bob');
    await device.waitFor('live');
  });
  afterAll(cleanUp);

  test('a publish on a socket is answered with the stored message and its ref, and stored as with POST', async () => {
    const content = { text: 'hé 🙂' };
    const answer = await device.publish({ recipient: 'bob', sender: 'alice', type: 'note', content }, 'r1');
    expect(answer).toEqual({
      event: 'published',
      ref: 'r1',
      data: {
        id: expect.any(Number),
        sender: 'alice',
        recipient: 'bob',
        type: 'note',
        content,
        createdAt: expect.any(String),
      },
    });
    const stored = answer.data as WireMessage;
    expect((await get(server.url, `/messages/${stored.id}`)).body).toEqual(stored);
    await until(() => device.ids.includes(stored.id));
    // As for a POST: it is on every stream before its publisher has the answer.
    expect(device.events.findIndex(({ data }) => (data as WireMessage).id === stored.id)).toBeLessThan(
      device.events.indexOf(answer),
    );
  });

  test('a publish on a socket without a ref is answered without a ref', async () => {
    const other = await SocketDevice.open(server.url, 'recipient=nobody');
    other.say({ publish: { recipient: 'carol', content: 1 } });
    expect(Object.keys(await other.waitFor('published'))).toEqual(['event', 'data']);
    other.cut();
  });

  test('an array on a socket is a batch, stored whole or not at all', async () => {
    const batch = [1, 2, 3].map((content) => ({ recipient: 'batch', content }));
    const answer = await device.publish(batch, 'b1');
    expect(answer.event).toBe('published');
    const stored = answer.data as WireMessage[];
    expect(stored.map(({ content }) => content)).toEqual([1, 2, 3]);
    expect(await pullAll(server.url, 'batch')).toEqual(stored);
    const refused = await device.publish([...batch, { recipient: 'batch' }], 'b2');
    expect(refused).toEqual({ event: 'refused', ref: 'b2', data: problem(400, '/3/content') });
    expect((await device.publish([], 'b3')).data).toEqual(problem(400));
    expect(await pullAll(server.url, 'batch')).toEqual(stored);
  });

  test('an ephemeral message on a socket is answered with the number of streams that took it', async () => {
    const draft = { recipient: 'bob', content: 'typing', ephemeral: true };
    const answer = await device.publish(draft, 'e1');
    expect(answer).toEqual({ event: 'published', ref: 'e1', data: { devices: 1 } });
    const frame = device.events.find(
      ({ event, data }) => event === 'message' && (data as WireMessage).content === 'typing',
    );
    expect(Object.keys(frame ?? {})).toEqual(['event', 'data']);
  });

  test('a publish on a socket that repeats a key stores nothing, and is answered with the first message', async () => {
    const draft = { recipient: 'keys', sender: 'al', content: 1, idempotencyKey: 'k' };
    const [first, second] = [await device.publish(draft, 'k1'), await device.publish(draft, 'k2')];
    expect(second.data).toEqual(first.data);
    const posted = await publish(server.url, draft);
    expect([posted.status, posted.body]).toEqual([200, first.data]);
    const conflict = await device.publish({ ...draft, content: 2 }, 'k3');
    expect(conflict).toEqual({ event: 'refused', ref: 'k3', data: problem(422, '/idempotencyKey') });
    expect(await pullAll(server.url, 'keys')).toHaveLength(1);
  });

  test('a publish on a socket is refused for the same reasons as POST, in the same words', async () => {
    for (const [index, draft] of [
      { recipient: 'bob' },
      { recipient: '$x', content: 1 },
      { recipient: 'bob', content: 1, contnet: 2 },
      { recipient: 'bob', content: 'x'.repeat(49 * 1024) },
      { recipient: 'bob', content: 1, ttl: 0, type: 'T' },
      { recipient: 'bob', type: 'read', content: { messageId: 0 } },
      'text',
      null,
    ].entries()) {
      const posted = await publish(server.url, draft);
      expect(posted.status).toBeGreaterThanOrEqual(400);
      const answer = await device.publish(draft, `refused-${index}`);
      expect(answer).toEqual({ event: 'refused', ref: `refused-${index}`, data: posted.body as unknown });
    }
  });

  test.each<[string, string, readonly string[]]>([
    ['no JSON', 'nonsense', []],
    ['nothing', '', []],
    ['an array', '[]', []],
    ['a text', '"publish"', []],
    ['null', 'null', []],
    ['an object without publish', '{"ref":"x"}', ['/publish']],
    ['an object with more', '{"publish":{},"sub/scribe":1,"ref":"x"}', ['/sub~1scribe']],
    ['one whose ref is no text', '{"publish":{},"ref":1}', ['/ref']],
    ['one whose ref is empty', '{"publish":{},"ref":""}', ['/ref']],
    ['one whose ref is long', `{"publish":{},"ref":"${'x'.repeat(129)}"}`, ['/ref']],
  ])('a message on a socket that is %s is refused, and the socket stays', async (_what, text, paths) => {
    const other = await SocketDevice.open(server.url, 'recipient=nobody');
    other.say(text);
    expect(await other.waitFor('refused')).toEqual({ event: 'refused', data: problem(400, ...paths) });
    expect((await other.publish({ recipient: 'carol', content: 1 }, 'after')).event).toBe('published');
    other.cut();
  });

  test('publishes on a socket are stored in the order in which they were sent', async () => {
    const refs = Array.from({ length: 500 }, (_, index) => `o${index}`);
    for (const ref of refs) device.say({ publish: { recipient: 'order', content: ref }, ref });
    await until(() => refs.every((ref) => device.events.some((event) => event.ref === ref)));
    expect((await pullAll(server.url, 'order')).map(({ content }) => content)).toEqual(refs);
  });

  test('a publish on a socket, and its refusal, count in the metrics', async () => {
    const before = await scrape(server.url);
    await device.publish({ recipient: 'carol', content: 1 }, 'c1');
    await device.publish({ recipient: 'carol' }, 'c2');
    const after = await scrape(server.url);
    const grown = (name: string, labels: Record<string, string>): number =>
      after.value(name, labels) - before.value(name, labels);
    expect(grown('tidings_publishes_total', { result: 'stored' })).toBe(1);
    expect(grown('tidings_requests_refused_total', { reason: 'malformed', status: '400' })).toBe(1);
    expect(after.by('tidings_connections', 'protocol')).toEqual({ sse: 0, websocket: 1, poll: 0 });
  });
});

describe('a publish on a socket with a token', () => {
  afterEach(cleanUp);

  async function start(
    env: Record<string, string>,
    sub: string,
    grants: Grants,
  ): Promise<{ server: Server; device: SocketDevice }> {
    const server = await Server.start({ env: { AUTH_SECRET: SECRET, ...env } });
    const device = await SocketDevice.open(server.url, '', { headers: bearer(await tokenFor(sub, grants)) });
    await device.waitFor('live');
    return { server, device };
  }

  test('a publish on a socket has the sender and the recipients that its token allows', async () => {
    const { device } = await start({}, 'al', { sendAs: ['al', 'bot'], sendTo: ['bob', 'room-*'] });
    const draft = { recipient: 'bob', content: 1 };
    expect((await device.publish(draft, '1')).data).toMatchObject({ sender: 'al' });
    expect((await device.publish({ ...draft, sender: 'bot' }, '2')).data).toMatchObject({ sender: 'bot' });
    for (const [ref, body, ...paths] of [
      ['3', { ...draft, sender: 'eve' }, '/sender'],
      ['4', { ...draft, recipient: 'carol' }, '/recipient'],
      ['5', [draft, { ...draft, recipient: 'carol' }], '/1/recipient'],
    ] as const) {
      expect(await device.publish(body, ref)).toEqual({
        event: 'refused',
        ref,
        data: problem(403, ...paths),
      });
    }
  });

  test('publishes on a socket are held to the rate of their client, and refused with the time to wait', async () => {
    const { server, device } = await start({ PUBLISH_RATE: '2' }, 'al', { sendTo: ['*'] });
    const draft = { recipient: 'bob', content: 1 };
    const answers: SocketEvent[] = [];
    for (let count = 0; answers.at(-1)?.event !== 'refused' && count < 40; count++)
      answers.push(await device.publish(draft, String(count)));
    const refused = answers.filter(({ event }) => event === 'refused');
    expect(refused.length).toBeGreaterThan(0);
    expect(answers.slice(0, 4).every(({ event }) => event === 'published')).toBe(true);
    expect(refused[0]).toEqual({ event: 'refused', ref: refused[0]?.ref, data: problem(429), retry: 1000 });
    const headers = bearer(await tokenFor('al', { sendTo: ['*'] }));
    // So much that its bucket stays empty: it may have been refilled by now.
    const batch = Array.from({ length: 60 }, () => draft);
    await until(async () => (await publish(server.url, batch, headers)).status === 201, 'a batch');
    expect((await publish(server.url, draft, headers)).status).toBe(429);
    // As for a POST, the draft of what is too fast is not even looked at.
    expect((await device.publish('nonsense', 'n')).data).toEqual(problem(429));
  });
});

describe('publishes under way on a socket', () => {
  afterEach(cleanUp);

  testWithTool('prlimit', 'util-linux')(
    'publishes on a socket are refused for now while the log cannot be written, and the socket stays',
    async () => {
      const server = await Server.start({ wrapper: ['prlimit', '--fsize=250000:unlimited'] });
      const device = await SocketDevice.open(server.url, 'recipient=bob');
      const draft = { recipient: 'bob', content: 'x'.repeat(4000) };
      let refused: SocketEvent | undefined;
      for (let count = 0; refused === undefined; count++) {
        const answer = await device.publish(draft, `f${count}`);
        if (answer.event === 'refused') refused = answer;
      }
      expect(refused).toMatchObject({ data: problem(503), retry: 2000 });
      server.raiseFileSizeLimit();
      let event = '';
      for (let count = 0; event !== 'published'; count++)
        ({ event } = await device.publish(draft, `g${count}`));
      expect(device.closed).toBe(false);
    },
  );

  test('a flood of publishes on a socket is slowed by TCP, costs no memory, and is stored whole', async () => {
    const server = await Server.start();
    const drafts = (ref: number): object[] =>
      Array.from({ length: 60 }, (_, index) => ({
        recipient: 'nobody',
        content: `${ref * 60 + index} `.padEnd(48_000, 'x'),
      }));
    const batch = (ref: number): string => JSON.stringify({ publish: drafts(ref), ref: String(ref) });
    const warm = await SocketDevice.open(server.url, 'recipient=bob');
    for (let count = 0; count < 10; count++) await warm.publish(drafts(count), `w${count}`);
    const before = residentBytes(server.pid);
    // It takes none of its answers, each as large as what it answers.
    const flood = await RawSocket.open(server.port, 'recipient=bob', { asleep: true });
    const BATCHES = 50;
    for (let ref = 0; ref < BATCHES; ref++) flood.write(clientFrame(WHOLE_TEXT, batch(ref)));
    let [most, queued] = [0, Infinity];
    // Until the server reads no more of it.
    await until(() => {
      most = Math.max(most, residentBytes(server.pid));
      const still = flood.socket.writableLength === queued && queued < BATCHES * 2.8 * MEBIBYTE;
      queued = flood.socket.writableLength;
      return still;
    });
    expect(queued).toBeGreaterThan(100 * MEBIBYTE);
    expect(most - before).toBeLessThan(100 * MEBIBYTE);
    flood.wake();
    await until(() => flood.said.filter(({ event }) => event === 'published').length === BATCHES, 'all');
    const ids = flood.said.flatMap(({ event, data }) =>
      event === 'published'
        ? (data as WireMessage[]).map(({ content }) => Number.parseInt(String(content)))
        : [],
    );
    expect(ids.sort((one, other) => one - other)).toEqual(
      Array.from({ length: BATCHES * 60 }, (_, index) => index),
    );
  });

  test('a flood of small publishes on a socket is answered whole, however many come in one packet', async () => {
    const server = await Server.start();
    const flood = await RawSocket.open(server.port, 'recipient=bob', { asleep: true });
    // Each is refused with thirty times its length.
    const COUNT = 60_000;
    flood.write(Buffer.concat(Array.from({ length: COUNT }, () => clientFrame(WHOLE_TEXT, '[]'))));
    const look = async (): Promise<{ refusals: number; waiting: number }> => {
      const metrics = await scrape(server.url);
      const labels = { reason: 'malformed', status: '400' };
      return {
        refusals: metrics.value('tidings_requests_refused_total', labels),
        waiting: metrics.value('tidings_send_buffer_bytes'),
      };
    };
    let [last, waiting] = [-1, 0];
    // Held up by its answers, and not only by a pause of its client.
    await until(async () => {
      const now = await look();
      const still = now.refusals === last && now.waiting > 0;
      [last, waiting] = [now.refusals, now.waiting];
      return still;
    });
    expect(last).toBeLessThan(COUNT);
    expect(waiting).toBeGreaterThan(0);
    expect(waiting).toBeLessThan(512 * 1024);
    flood.wake();
    await until(() => flood.said.length > COUNT, 'all');
    expect(flood.said.filter(({ event }) => event === 'refused')).toHaveLength(COUNT);
    expect((await look()).refusals).toBe(COUNT);
  });

  test('at most 64 publishes of a socket, of at most 4 MiB, are under way at once', async () => {
    const server = await Server.start();
    const flood = await RawSocket.open(server.port, 'recipient=bob');
    const draft = (ref: string): Buffer =>
      clientFrame(WHOLE_TEXT, JSON.stringify({ publish: { recipient: 'nobody', content: 1 }, ref }));
    const answers = (event: string): readonly StreamEvent[] =>
      flood.said.filter((one) => one.event === event);
    flood.write(...Array.from({ length: 2000 }, (_, index) => draft(String(index))));
    await until(() => answers('published').length === 2000);
    const metrics = await scrape(server.url);
    // Publishes that are under way together are committed together.
    const commits = metrics.value('tidings_commits_total');
    expect(metrics.value('tidings_commit_size_messages_bucket', { le: '100' })).toBe(commits);

    // While nothing can be stored, so much would wait of one that is not held up that others were refused for it.
    const holder = await LockHolder.hold(server.database, 'BEGIN IMMEDIATE');
    const large = Array.from({ length: 60 }, () => ({ recipient: 'nobody', content: 'x'.repeat(48_000) }));
    const bytes = clientFrame(WHOLE_TEXT, JSON.stringify({ publish: large, ref: 'large' }));
    flood.write(...Array.from({ length: 30 }, () => bytes));
    await until(() => answers('refused').length === 30, 'all');
    await holder.kill();
    for (const { data } of answers('refused')) {
      expect(data).toMatchObject({
        status: 503,
        stored: 'no',
        detail: expect.stringContaining('locked by another program'),
      });
    }
  });

  test('publishes on a socket are stored though their client goes before the answer', async () => {
    const server = await Server.start();
    const contents = Array.from({ length: 50 }, (_, index) => index);
    const device = await SocketDevice.open(server.url, 'recipient=bob');
    const acknowledged = device.publish({ recipient: 'gone', content: 'first' }, 'first');
    for (const content of contents) device.say({ publish: { recipient: 'gone', content } });
    await acknowledged;
    device.socket.close();
    await device.waitForEnd();
    await until(async () => (await pullAll(server.url, 'gone')).length === 51);
    expect((await pullAll(server.url, 'gone')).map(({ content }) => content)).toEqual(['first', ...contents]);
  });

  test.each(['SIGTERM', 'SIGINT'] as const)(
    'publishes on a socket are answered before the bye of %s, and exactly the acknowledged ones are kept',
    async (signal) => {
      const server = await Server.start();
      const devices = await Promise.all(
        Array.from({ length: 8 }, () => SocketDevice.open(server.url, 'recipient=bob')),
      );
      const publishers = devices.map((device) => ({ device, unanswered: 0 }));
      for (const publisher of publishers)
        publisher.device.socket.on('message', (data: Buffer) => {
          if (/^\{"event":"(published|refused)"/.test(data.toString())) publisher.unanswered -= 1;
        });
      let count = 0;
      const pump = setInterval(() => {
        for (const publisher of publishers) {
          const { socket } = publisher.device;
          // Everything that waits for a slow disk must be read at the end.
          while (socket.readyState === socket.OPEN && publisher.unanswered < 100) {
            publisher.device.say({
              publish: { recipient: 'bob', content: 'x'.repeat(1000) },
              ref: String(count++),
            });
            publisher.unanswered += 1;
          }
        }
      }, 1);
      await until(() => devices.every((device) => device.find('published') !== undefined));
      server.signal(signal);
      const ended = await server.ended;
      clearInterval(pump);
      expect(ended).toMatchObject({ code: 0, signal: null });
      for (const device of devices) await device.waitForEnd();
      const published = new Set<number>();
      for (const { events, close } of devices) {
        expect(events.at(-1)).toMatchObject({ event: 'bye', data: { type: 'bye', reason: 'shutdown' } });
        expect(close).toEqual({ code: 1001, reason: 'shutdown' });
        for (const { event, data } of events) {
          if (event === 'published') published.add((data as WireMessage).id);
          if (event === 'refused') {
            expect(data).toMatchObject({ stored: 'no' });
            expect(data).toMatchObject(problem(503) as object);
          }
        }
      }
      const after = await Server.start({ database: server.database });
      const kept = (await pullAll(after.url, 'bob')).map(({ id }) => id);
      expect(kept).toEqual([...published].sort((one, other) => one - other));
    },
  );
});
