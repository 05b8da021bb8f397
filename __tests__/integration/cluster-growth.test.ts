/** From one machine to three nodes and back, as docs/cluster.md says. GROWTH_MESSAGES says how many messages there are at first. */
import { afterAll, beforeAll, expect } from '@jest/globals';
import { statSync } from 'node:fs';
import { publish, send, type WireMessage } from '../support/api.ts';
import { TestCluster } from '../support/cluster-command.ts';
import { describeNats, NatsServers, natsTest } from '../support/nats.ts';
import { positionOf, untilEqual } from '../support/position.ts';
import { pullAll } from '../support/pull.ts';
import { Publisher, refusalsOf, storedBy } from '../support/publisher.ts';
import { cleanUp, Server } from '../support/server.ts';
import { DeviceStream } from '../support/stream.ts';
import { until } from '../support/until.ts';

const MESSAGES = Number(process.env['GROWTH_MESSAGES'] ?? 3000);
const LIMIT = 120_000 + MESSAGES;

describeNats('a service', () => {
  let servers: NatsServers;
  beforeAll(async () => {
    servers = await NatsServers.start(3);
  });
  afterAll(cleanUp);

  /** Does something, and prints how long it took if the messages are many. */
  async function timed<T>(what: string, run: () => Promise<T>): Promise<T> {
    const began = performance.now();
    const result = await run();
    const seconds = ((performance.now() - began) / 1000).toFixed(1);
    if (process.env['GROWTH_MESSAGES'] !== undefined) process.stderr.write(`${what}: ${seconds} s\n`);
    return result;
  }

  const headOf = ({ database }: { database: string }): number => positionOf(database).head;

  natsTest(
    'a service grows from one machine to three nodes, loses one, and shrinks to one again, with all messages',
    async () => {
      const cluster = new TestCluster(servers, 'growth');
      const alone = await Server.start();
      await timed(`${MESSAGES} messages`, async () => {
        for (let first = 0; first < MESSAGES; first += 1000) {
          const batch = Array.from({ length: Math.min(1000, MESSAGES - first) }, (_, index) => ({
            recipient: `r${first + index}`,
            content: 'a message of an ordinary size, which is some two hundred bytes long '.repeat(3),
          }));
          expect((await publish(alone.url, batch)).status).toBe(201);
        }
      });
      const kept = await send(alone.url, 'bob', 'kept');
      const device = await DeviceStream.open(alone.url, 'recipient=bob', { lastEventId: '0' });
      await device.waitForMessages(1);
      const cursor = device.cursor ?? '';
      device.cut();
      const { database } = alone;
      expect((await alone.stop()).code).toBe(0);
      const size = (statSync(database).size / 1024 / 1024).toFixed(1);
      await timed(`init with ${size} MiB`, () => cluster.done(['init', '--replicas', '3'], database));

      const first = await timed('start of the first node', () => cluster.node({ database }));
      const second = await timed('join of the second', () => cluster.node());
      const publishers = Publisher.several(2, first.url, 'bob', 100);
      await until(() => storedBy(publishers).length > 20, 'messages under way');
      const third = await timed('join of the third, under load', () => cluster.node());
      await until(() => headOf(third) > MESSAGES + 20, 'the third to follow');
      expect((await second.stop()).code).toBe(0);
      const stored = storedBy(publishers).length;
      await until(() => storedBy(publishers).length > stored + 20, 'messages without the second');
      await Promise.all(publishers.map((publisher) => publisher.end()));
      expect(refusalsOf(publishers)).toEqual([]);
      await untilEqual([first.database, third.database]);
      const all: WireMessage[] = [kept, ...storedBy(publishers)].sort((one, other) => one.id - other.id);
      expect(await pullAll(third.url, 'bob')).toEqual(all);

      expect((await third.stop()).code).toBe(0);
      expect((await first.stop()).code).toBe(0);
      const { logId } = positionOf(first.database);
      const again = await Server.start({ database: first.database });
      expect(await pullAll(again.url, 'bob')).toEqual(all);
      const back = await DeviceStream.open(again.url, 'recipient=bob', { lastEventId: cursor });
      await back.waitForMessages(all.length - 1);
      expect(back.gap).toBe(false);
      back.cut();
      expect((await send(again.url, 'bob', 'alone')).id).toBe(headOf(again));
      expect(positionOf(again.database).logId).not.toBe(logId);
      await again.stop();
    },
    LIMIT,
  );
});
