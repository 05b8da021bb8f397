import { connect } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { get, publish, request, send } from '../support/api.ts';
import { type Exposition, scrape } from '../support/exposition.ts';
import { expectProblem } from '../support/problems.ts';
import { headCursor } from '../support/pull.ts';
import { RawDevice } from '../support/raw-device.ts';
import { rawPublish } from '../support/raw.ts';
import { cleanUp, Server } from '../support/server.ts';
import { DeviceStream } from '../support/stream.ts';
import { bearer, SECRET, tokenFor } from '../support/tokens.ts';
import { testWithTool } from '../support/tool.ts';
import { until } from '../support/until.ts';

/** Opens live streams of an inbox. */
async function openLive(server: Server, count: number, query: string): Promise<DeviceStream[]> {
  const devices = await Promise.all(
    Array.from({ length: count }, () => DeviceStream.open(server.url, query)),
  );
  await Promise.all(devices.map((device) => device.waitFor('live')));
  return devices;
}

/** How much counters grew while something was done. */
async function growth(
  server: Server,
  read: (metrics: Exposition) => Record<string, number>,
  run: () => Promise<unknown>,
): Promise<Record<string, number>> {
  const before = read(await scrape(server.url));
  await run();
  const after = read(await scrape(server.url));
  return Object.fromEntries(
    Object.entries(after)
      .map(([key, value]) => [key, value - (before[key] ?? 0)] as const)
      .filter(([, value]) => value !== 0),
  );
}

/** The labels of live streams of Server-Sent Events. */
const LIVE = { protocol: 'sse', state: 'live' };

const counters = (metrics: Exposition): Record<string, number> => ({
  ...metrics.by('tidings_publishes_total', 'result'),
  messages: metrics.value('tidings_messages_stored_total'),
  delivered: metrics.value('tidings_messages_delivered_total', { kind: 'stored' }),
  deliveredEphemeral: metrics.value('tidings_messages_delivered_total', { kind: 'ephemeral' }),
  replayed: metrics.value('tidings_messages_replayed_total'),
  commits: metrics.value('tidings_commits_total'),
});

const refused = (metrics: Exposition): Record<string, number> =>
  Object.fromEntries(
    (metrics.families.get('tidings_requests_refused_total')?.samples ?? []).map(({ labels, value }) => [
      `${labels['reason']} ${labels['status']}`,
      value,
    ]),
  );

describe('the counters of /metrics', () => {
  let server: Server;
  beforeAll(async () => {
    server = await Server.start();
  });
  afterAll(cleanUp);

  test('/metrics counts publishes, messages, deliveries and commits', async () => {
    const devices = await openLive(server, 3, 'recipient=bob');
    const grown = await growth(server, counters, async () => {
      for (let count = 0; count < 20; count++) await send(server.url, 'bob', count);
      await publish(
        server.url,
        Array.from({ length: 50 }, () => ({ recipient: 'bob', content: 'batch' })),
      );
      await send(server.url, 'nobody', 'follows');
      for (const device of devices) await device.waitForMessages(70);
    });
    expect(grown).toEqual({ stored: 22, messages: 71, delivered: 210, commits: 22 });
    for (const device of devices) device.cut();
  });

  test('/metrics counts a repeated publish as repeated, without a commit', async () => {
    const body = { recipient: 'bob', content: 'once', idempotencyKey: 'k' };
    const both = [body, { ...body, idempotencyKey: 'other' }];
    const grown = await growth(server, counters, async () => {
      expect((await publish(server.url, body)).status).toBe(201);
      expect((await publish(server.url, body)).status).toBe(200);
      expect((await publish(server.url, body)).status).toBe(200);
      // One new message makes it a publish that stored something.
      expect((await publish(server.url, both)).status).toBe(201);
    });
    expect(grown).toEqual({ stored: 2, repeated: 2, messages: 2, commits: 2 });
  });

  test('/metrics counts an ephemeral message once for each stream that got it', async () => {
    const devices = await openLive(server, 4, 'recipient=eve');
    const grown = await growth(server, counters, async () => {
      await publish(server.url, { recipient: 'eve', content: 1, ephemeral: true });
      await publish(server.url, { recipient: 'nobody', content: 1, ephemeral: true });
      for (const device of devices) await device.waitForMessages(1);
    });
    expect(grown).toEqual({ ephemeral: 2, deliveredEphemeral: 4 });
    for (const device of devices) device.cut();
  });

  test('/metrics counts the messages of a replay, and not as deliveries', async () => {
    await publish(
      server.url,
      Array.from({ length: 700 }, () => ({ recipient: 'rita', content: 1 })),
    );
    const grown = await growth(server, counters, async () => {
      const devices = await openLive(server, 2, 'recipient=rita&lastEventId=0');
      for (const device of devices) device.cut();
    });
    expect(grown).toEqual({ replayed: 1400 });
  });

  test('/metrics counts refusals by reason and status', async () => {
    const grown = await growth(server, refused, async () => {
      for (let count = 0; count < 3; count++) expectProblem(await get(server.url, '/nothing'), 404);
      for (let count = 0; count < 2; count++) expectProblem(await publish(server.url, { recipient: 1 }), 400);
      expectProblem(await get(server.url, '/stream'), 400);
      expectProblem(await request(`${server.url}/messages`, { method: 'PUT' }), 405);
      expectProblem(await rawPublish(server.port, 'x', { 'Content-Type': 'text/plain' }), 415);
      const content = 'x'.repeat(50_000);
      expectProblem(await publish(server.url, { recipient: 'bob', content }), 413);
      const key = { recipient: 'bob', idempotencyKey: 'conflict' };
      await publish(server.url, { ...key, content: 1 });
      expectProblem(await publish(server.url, { ...key, content: 2 }), 422);
    });
    expect(grown).toEqual({
      'not-found 404': 3,
      'malformed 400': 3,
      'method-not-allowed 405': 1,
      'unsupported-media-type 415': 1,
      'too-large 413': 1,
      'conflict 422': 1,
    });
  });

  test('/metrics counts connections that sent no valid request', async () => {
    const dropped = (metrics: Exposition): Record<string, number> =>
      metrics.by('tidings_connections_dropped_total', 'reason');
    const grown = await growth(server, dropped, async () => {
      const sockets = ['nonsense\r\n\r\n', '\x16\x03\x01\x02\x00'].map((bytes) => {
        const socket = connect(server.port, '127.0.0.1', () => socket.write(bytes));
        return new Promise((resolve) => socket.resume().on('error', resolve).on('close', resolve));
      });
      await Promise.all(sockets);
    });
    expect(grown).toEqual({ unreadable: 2 });
  });

  test('/metrics counts purged messages', async () => {
    const purged = (metrics: Exposition): Record<string, number> => ({
      purged: metrics.value('tidings_messages_purged_total'),
    });
    const grown = await growth(server, purged, async () => {
      const batch = Array.from({ length: 5 }, () => ({ recipient: 'brief', content: 1, ttl: 1 }));
      await publish(server.url, [...batch, { recipient: 'brief', content: 1, ttl: 1000 }]);
      await until(async () => purged(await scrape(server.url))['purged'] === 5, 'the purge of five');
    });
    expect(grown).toEqual({ purged: 5 });
  });
});

describe('the gauges of /metrics', () => {
  afterEach(cleanUp);

  test('/metrics shows open connections by state, and why streams were closed', async () => {
    const server = await Server.start({ env: { MAX_STREAMS: '50' } });
    const devices = await openLive(server, 5, 'recipient=bob');
    const cursor = await headCursor(server.url);
    const poll = get(server.url, `/messages?recipient=bob&after=${cursor}&wait=60`);
    const states = async (): Promise<Record<string, number>> =>
      (await scrape(server.url)).by('tidings_connections', 'state');
    await until(async () => (await states())['polling'] === 1);
    expect(await states()).toEqual({ replaying: 0, live: 5, polling: 1 });
    const open = await scrape(server.url);
    expect(open.by('tidings_connections', 'protocol')).toEqual({ sse: 5, websocket: 0, poll: 1 });
    expect(open.value('tidings_connections_limit')).toBe(50);
    expect(open.value('process_open_fds')).toBeGreaterThan(10);
    expect(open.value('process_max_fds')).toBeGreaterThanOrEqual(306);

    await send(server.url, 'bob', 'wakes the poll');
    await poll;
    for (const device of devices) device.cut();
    await until(async () => (await states())['live'] === 0);
    expect(await states()).toEqual({ replaying: 0, live: 0, polling: 0 });
    const closed = await scrape(server.url);
    expect(closed.by('tidings_connections', 'protocol')).toEqual({ sse: 0, websocket: 0, poll: 0 });
    expect(closed.value('tidings_streams_opened_total')).toBe(5);
    expect(closed.by('tidings_streams_closed_total', 'reason')).toEqual({
      client: 5,
      shutdown: 0,
      'token-expired': 0,
      'too-slow': 0,
      'over-limit': 0,
      stalled: 0,
      failed: 0,
    });
  });

  test('/metrics shows how far a slow device is behind, and the bytes that wait for it', async () => {
    const server = await Server.start();
    const reader = await RawDevice.open(server.port, 'recipient=slow', { asleep: true });
    await until(async () => (await scrape(server.url)).value('tidings_connections', LIVE) === 1);
    const idle = await scrape(server.url);
    expect(idle.value('tidings_send_buffer_bytes')).toBe(0);
    expect(idle.value('tidings_replay_lag_ids')).toBe(0);
    const batch = Array.from({ length: 80 }, () => ({ recipient: 'slow', content: 'x'.repeat(49_000) }));
    for (let round = 0; round < 5; round++) await publish(server.url, batch);

    // Until the system takes no more: what it takes, the service fills up again.
    let behind = await scrape(server.url);
    await until(async () => {
      const before = behind.value('tidings_replay_lag_ids');
      behind = await scrape(server.url);
      return (
        behind.value('tidings_replay_lag_ids') === before &&
        behind.value('tidings_send_buffer_bytes') > 100_000
      );
    }, 'a full buffer');
    expect(behind.by('tidings_connections', 'state')).toEqual({ replaying: 1, live: 0, polling: 0 });
    expect(behind.value('tidings_send_buffer_bytes')).toBeGreaterThan(100_000);
    expect(behind.value('tidings_send_buffer_bytes')).toBeLessThanOrEqual(256 * 1024);
    const written =
      behind.value('tidings_messages_delivered_total', { kind: 'stored' }) +
      behind.value('tidings_messages_replayed_total');
    expect(written).toBeGreaterThan(0);
    expect(behind.value('tidings_replay_lag_ids')).toBe(400 - written);

    reader.wake();
    await reader.waitForMessages(400);
    await until(async () => (await scrape(server.url)).value('tidings_connections', LIVE) === 1);
    await until(async () => (await scrape(server.url)).value('tidings_send_buffer_bytes') === 0);
    const through = await scrape(server.url);
    expect(through.by('tidings_connections', 'state')).toEqual({ replaying: 0, live: 1, polling: 0 });
    expect(through.value('tidings_replay_lag_ids')).toBe(0);
    // Each exactly once, whether live or out of the log.
    expect(
      through.value('tidings_messages_delivered_total', { kind: 'stored' }) +
        through.value('tidings_messages_replayed_total'),
    ).toBe(400);
    reader.cut();
  });

  test('/metrics shows the head and the files of the log, and the duration of its commits', async () => {
    const server = await Server.start();
    for (const length of [1, 1, 7, 150]) {
      await publish(
        server.url,
        Array.from({ length }, () => ({ recipient: 'bob', content: 'x'.repeat(1000) })),
      );
    }
    const metrics = await scrape(server.url);
    expect(metrics.value('tidings_log_head_id')).toBe(159);
    expect(metrics.value('tidings_log_ready')).toBe(1);
    expect(metrics.value('tidings_commit_failures_total')).toBe(0);
    const sizes = metrics.by('tidings_log_size_bytes', 'file');
    expect(Object.keys(sizes)).toEqual(['database', 'wal']);
    expect((sizes['database'] ?? 0) + (sizes['wal'] ?? 0)).toBeGreaterThan(159_000);
    expect(metrics.value('tidings_log_disk_available_bytes')).toBeGreaterThan(1_000_000);
    const buckets = ['1', '2', '5', '10', '100', '200', '+Inf'].map((le) =>
      metrics.value('tidings_commit_size_messages_bucket', { le }),
    );
    expect(buckets).toEqual([2, 2, 2, 3, 3, 4, 4]);
    expect(metrics.value('tidings_commit_size_messages_sum')).toBe(159);
    const [sync = 0, duration = 0, wait = 0] = ['sync', 'duration', 'wait'].map((what) => {
      expect(metrics.value(`tidings_commit_${what}_seconds_count`)).toBe(4);
      return metrics.value(`tidings_commit_${what}_seconds_sum`);
    });
    // Each lies within the next.
    expect(sync).toBeGreaterThan(0);
    expect(duration).toBeGreaterThan(sync);
    expect(wait).toBeGreaterThan(duration);
  });

  test('/metrics counts refused streams, in band and with 503', async () => {
    const server = await Server.start({ env: { MAX_STREAMS: '1' } });
    const [device] = await openLive(server, 1, 'recipient=bob');
    const grown = await growth(server, refused, async () => {
      for (let count = 0; count < 3; count++) {
        await (await DeviceStream.open(server.url, 'recipient=bob')).waitFor('bye');
      }
      expectProblem(await get(server.url, '/stream?recipient=bob'), 503);
    });
    expect(grown).toEqual({ 'unavailable 200': 3, 'unavailable 503': 1 });
    expect((await scrape(server.url)).value('tidings_streams_opened_total')).toBe(1);
    device?.cut();
  });

  testWithTool('prlimit', 'util-linux')(
    '/metrics shows when the log cannot be written, and when it can again',
    async () => {
      const server = await Server.start({ wrapper: ['prlimit', '--fsize=250000:unlimited'] });
      let stored = 0;
      const store = async (): Promise<number> =>
        (await publish(server.url, { recipient: 'bob', content: 'x'.repeat(4000) })).status;
      while ((await store()) === 201) stored++;
      await until(async () => (await scrape(server.url)).value('tidings_log_ready') === 0, 'not writable');
      const full = await scrape(server.url);
      // None if it was found out before a commit was tried.
      expect(full.value('tidings_commit_failures_total')).toBeLessThanOrEqual(1);
      expect(full.value('tidings_messages_stored_total')).toBe(stored);
      expect(refused(full)['unavailable 503']).toBe(1);

      server.raiseFileSizeLimit();
      await until(async () => (await scrape(server.url)).value('tidings_log_ready') === 1, 'writable again');
      expect(await store()).toBe(201);
      expect((await scrape(server.url)).value('tidings_messages_stored_total')).toBe(stored + 1);
    },
  );
});

test('/metrics answers GET and HEAD, and refuses a query', async () => {
  const server = await Server.start();
  const answer = await fetch(`${server.url}/metrics`);
  expect(answer.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
  expect((await fetch(`${server.url}/metrics`, { method: 'HEAD' })).status).toBe(200);
  expectProblem(await get(server.url, '/metrics?name=x'), 400, ['/name']);
  expectProblem(await request(`${server.url}/metrics`, { method: 'POST' }), 405);
  await cleanUp();
});

test('/metrics requires a token with that grant if a key is configured', async () => {
  const server = await Server.start({ env: { AUTH_SECRET: SECRET } });
  const ask = async (headers: Record<string, string>): Promise<number> =>
    (await fetch(`${server.url}/metrics`, { headers })).status;
  expect(await ask({})).toBe(401);
  expect(await ask(bearer(await tokenFor('bob', { read: ['*'], sendTo: ['*'] })))).toBe(403);
  expect(await ask(bearer(await tokenFor('prometheus', { metrics: true })))).toBe(200);
  await cleanUp();
});
