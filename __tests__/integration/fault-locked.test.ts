import { afterEach, expect, test } from '@jest/globals';
import { get } from '../support/api.ts';
import { LockHolder } from '../support/lock-holder.ts';
import { expectProblem } from '../support/problems.ts';
import { Publisher, refusalsOf, storedBy } from '../support/publisher.ts';
import { pullAll } from '../support/pull.ts';
import { cleanUp, Server } from '../support/server.ts';
import { DeviceStream } from '../support/stream.ts';
import { until } from '../support/until.ts';

afterEach(cleanUp);

test.each([
  ['BEGIN IMMEDIATE', 'release'],
  ['BEGIN EXCLUSIVE', 'kill'],
] as const)(
  'publishes are refused, and all else is served, while another program holds the database by %s, until %s',
  async (begin, end) => {
    const server = await Server.start({ env: { HEARTBEAT_SECONDS: '1' } });
    const device = await DeviceStream.open(server.url, 'recipient=bob');
    await device.waitFor('live');
    const publishers = Publisher.several(4, server.url, 'bob');
    await until(() => storedBy(publishers).length > 50, 'messages before the lock');

    const holder = await LockHolder.hold(server.database, begin);
    await until(() => refusalsOf(publishers).length > 4, 'refusals');
    const held = storedBy(publishers).length;
    const heartbeats = (): number => device.events.filter(({ event }) => event === 'heartbeat').length;
    expect((await get(server.url, '/healthz')).status).toBe(200);
    expectProblem(await get(server.url, '/readyz'), 503, []);
    expect(await pullAll(server.url, 'bob')).toHaveLength(held);
    const late = await DeviceStream.open(server.url, 'recipient=bob', { lastEventId: '0' });
    await late.waitFor('live');
    expect(late.messages).toHaveLength(held);
    const complaints = ['the log cannot be written', 'retention and conversations wait'];
    await until(() => complaints.every((said) => server.stderr.includes(said)), 'lines in the log');
    const before = heartbeats();
    await until(() => heartbeats() > before + 2, 'seconds, by the heartbeats');
    expect(storedBy(publishers)).toHaveLength(held);
    for (const refusal of refusalsOf(publishers)) {
      expectProblem(refusal, 503, []);
      expect(refusal.body).toMatchObject({
        stored: 'no',
        detail: 'Nothing was stored: the log is locked by another program. Send it again later.',
      });
      expect(refusal.headers.get('retry-after')).toMatch(/^[1-9]\d*$/);
    }

    // Said once, and not every second.
    for (const said of complaints) {
      await until(() => server.stderr.includes(said), said);
      expect(server.stderr.split(said)).toHaveLength(2);
    }

    await holder[end]();
    await until(() => storedBy(publishers).length > held + 20, 'messages after the lock');
    await until(async () => (await get(server.url, '/readyz')).status === 200, 'ready');
    await Promise.all(publishers.map((publisher) => publisher.end()));
    const stored = storedBy(publishers);
    for (const stream of [device, late]) {
      await stream.waitForMessages(stored.length);
      expect(stream.messages).toEqual(stored);
      expect(stream.closed).toBe(false);
    }
    expect(await pullAll(server.url, 'bob')).toEqual(stored);
    expect((await server.stop()).code).toBe(0);
  },
);
