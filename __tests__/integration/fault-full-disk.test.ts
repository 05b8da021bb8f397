import { afterEach, describe, expect } from '@jest/globals';
import { get } from '../support/api.ts';
import { withDatabase } from '../support/file.ts';
import { pull, pullAll } from '../support/pull.ts';
import { expectProblem } from '../support/problems.ts';
import { Publisher, refusalsOf, storedBy } from '../support/publisher.ts';
import { cleanUp, Server } from '../support/server.ts';
import { diskTest, SmallDisk } from '../support/small-disk.ts';
import { DeviceStream } from '../support/stream.ts';
import { until } from '../support/until.ts';

afterEach(cleanUp);

const PUBLISHERS = 4;
const LENGTH = 4000;

describe('a disk that fills', () => {
  diskTest(
    'a disk that fills costs no acknowledged message and ends no stream, and publishes work again once it has room',
    async () => {
      const disk = new SmallDisk(32);
      const server = await Server.start({ database: disk.database });
      const device = await DeviceStream.open(server.url, 'recipient=bob');
      await device.waitFor('live');
      const publishers = Publisher.several(PUBLISHERS, server.url, 'bob', LENGTH);
      await until(() => storedBy(publishers).length > 100, 'messages before the disk is full');

      for (let round = 1; round <= 2; round++) {
        const before = refusalsOf(publishers).length;
        disk.fill();
        await until(() => refusalsOf(publishers).length > before + 20, 'refusals');
        await until(async () => (await get(server.url, '/readyz')).status === 503, 'not ready');
        expect((await get(server.url, '/healthz')).status).toBe(200);
        // All the while, stored messages can be read by a poll and by a new stream.
        expect((await pull(server.url, 'recipient=bob&limit=10')).messages).toHaveLength(10);
        const late = await DeviceStream.open(server.url, 'recipient=bob&last=10');
        await late.waitFor('live');
        expect(late.messages).toHaveLength(10);
        late.cut();

        const held = storedBy(publishers).length;
        disk.makeRoom();
        await until(() => storedBy(publishers).length > held + 20, 'messages after there is room');
        await until(async () => (await get(server.url, '/readyz')).status === 200, 'ready');
      }
      await Promise.all(publishers.map((publisher) => publisher.end()));

      for (const refusal of refusalsOf(publishers)) {
        expectProblem(refusal, 503, []);
        expect(refusal.headers.has('retry-after')).toBe(true);
      }
      const stored = storedBy(publishers);
      await device.waitForMessages(stored.length);
      expect(device.messages).toEqual(stored);
      expect(device.closed).toBe(false);

      await server.kill();
      const again = await Server.start({ database: disk.database });
      expect(await pullAll(again.url, 'bob')).toEqual(stored);
      await again.stop();
      const check = withDatabase(disk.database, (database) => database.pragma('quick_check'));
      expect(check).toEqual([{ quick_check: 'ok' }]);
    },
  );

  diskTest('a full disk ends a start with one line, and the start works once there is room', async () => {
    const disk = new SmallDisk(8);
    disk.fill();
    const refused = await Server.run({ database: disk.database });
    expect(refused).toMatchObject({ code: 1, stdout: '' });
    expect(refused.stderr).toMatch(/^tidings: .*\bfull\b.*\n$/);

    disk.makeRoom();
    const server = await Server.start({ database: disk.database });
    expect((await get(server.url, '/readyz')).status).toBe(200);
  });
});
