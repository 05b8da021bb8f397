import { readdirSync, statSync } from 'node:fs';
import { afterEach, describe, expect } from '@jest/globals';
import { type Answer, get, publish, send } from '../support/api.ts';
import { expectProblem } from '../support/problems.ts';
import { Publisher, refusalsOf, storedBy } from '../support/publisher.ts';
import { pull, pullAll } from '../support/pull.ts';
import { cleanUp, Server } from '../support/server.ts';
import { diskTest, SmallDisk } from '../support/small-disk.ts';
import { DeviceStream } from '../support/stream.ts';
import { SystemFault } from '../support/system-fault.ts';
import { testWithTool } from '../support/tool.ts';
import { until } from '../support/until.ts';

afterEach(cleanUp);

/** Whether anything of a refused publish may have been stored. */
const storedIn = ({ body }: Answer): unknown => (body as { stored?: unknown }).stored;

/**
 * Has system calls of the service fail in the middle of an append. Upkeep may meet the fault first, and then no append
 * comes to the disk: the fault is ended, and begins again when messages are stored.
 *
 * @returns the last fault, and how many there were
 */
async function failAppend(
  server: Server,
  publishers: readonly Publisher[],
  calls: string,
  error: string,
): Promise<{ fault: SystemFault; times: number }> {
  for (let times = 1; ; times++) {
    const fault = await SystemFault.begin(server, calls, error);
    const before = refusalsOf(publishers).length;
    await until(() => refusalsOf(publishers).length > before + 20, 'refusals');
    if (refusalsOf(publishers).some((refusal) => storedIn(refusal) === 'unknown')) return { fault, times };
    await fault.end();
    const stored = storedBy(publishers).length;
    await until(() => storedBy(publishers).length > stored, 'messages after the fault');
  }
}

describe('a disk that fails under the running service', () => {
  testWithTool('strace', 'strace').each([
    ['turns read-only', 'pwrite64', 'EROFS'],
    ['fails to write', 'pwrite64', 'EIO'],
    ['is full for its user', 'pwrite64', 'EDQUOT'],
    ['fails to sync', 'fsync,fdatasync', 'EIO'],
  ])(
    'a disk that %s costs no acknowledged message, shows no refused one, and works again by itself',
    async (_what, calls, error) => {
      const words = error === 'EDQUOT' ? 'the disk of the log is full' : 'the log cannot be written';
      const server = await Server.start();
      const device = await DeviceStream.open(server.url, 'recipient=bob');
      await device.waitFor('live');
      const publishers = Publisher.several(4, server.url, 'bob');
      await until(() => storedBy(publishers).length > 50, 'messages before the fault');

      const { fault, times } = await failAppend(server, publishers, calls, error);
      const held = storedBy(publishers);
      await until(async () => (await get(server.url, '/readyz')).status === 503, 'not ready');
      expect((await get(server.url, '/healthz')).status).toBe(200);
      expect((await pull(server.url, 'recipient=bob&limit=1000')).messages).toEqual(held.slice(0, 1000));
      const late = await DeviceStream.open(server.url, 'recipient=bob', { lastEventId: '0' });
      await late.waitFor('live');
      expect(late.messages).toEqual(held);
      await fault.end();

      await until(() => storedBy(publishers).length > held.length + 20, 'messages after the fault');
      await until(async () => (await get(server.url, '/readyz')).status === 200, 'ready');
      await Promise.all(publishers.map((publisher) => publisher.end()));
      for (const refusal of refusalsOf(publishers)) {
        expectProblem(refusal, 503, []);
        expect(refusal.headers.has('retry-after')).toBe(true);
        expect(JSON.stringify(refusal.body)).toContain(words);
      }
      // Of those whose commit failed it is not known, and those after them never came to the writer.
      expect(new Set(refusalsOf(publishers).map(storedIn))).toEqual(new Set(['unknown', 'no']));
      // Said once when it stops, and once when it goes on.
      for (const said of ['the log cannot be written', 'the log can be written again']) {
        expect(server.stderr.split(`"msg":"${said}`)).toHaveLength(times + 1);
      }
      const stored = storedBy(publishers);
      for (const stream of [device, late]) {
        await stream.waitForMessages(stored.length);
        expect(stream.messages).toEqual(stored);
        expect(stream.closed).toBe(false);
      }
      await server.kill();
      const again = await Server.start({ database: server.database });
      expect(await pullAll(again.url, 'bob')).toEqual(stored);
    },
  );

  testWithTool('strace', 'strace')(
    'a publish that was refused as unknown is in the log or not after a crash, and its repeat stores it once',
    async () => {
      const server = await Server.start();
      await SystemFault.begin(server, 'fsync,fdatasync', 'EIO');
      const draft = { recipient: 'bob', content: 'once', idempotencyKey: 'k1' };
      const refused = await publish(server.url, draft);
      await server.kill();
      expectProblem(refused, 503, []);
      expect(refused.body).toMatchObject({
        stored: 'unknown',
        detail:
          'It may have been stored: the log cannot be written. Send it again later, with the same idempotencyKey.',
      });
      const again = await Server.start({ database: server.database });
      const repeated = await publish(again.url, draft);
      expect([200, 201]).toContain(repeated.status);
      expect(await pullAll(again.url, 'bob')).toEqual([repeated.body]);
    },
  );

  testWithTool('strace', 'strace')(
    'a disk that fails only when the log is folded into the database stops no publish and costs no message',
    async () => {
      const server = await Server.start();
      await send(server.url, 'bob', 'first');
      const fault = await SystemFault.begin(server, 'pwrite64', 'EIO', server.database);
      const publishers = Publisher.several(4, server.url, 'bob', 40_000);
      // Far more than the write-ahead log holds before it is to be folded in.
      await until(() => storedBy(publishers).length > 150, 'messages during the fault');
      expect(statSync(`${server.database}-wal`).size).toBeGreaterThan(150 * 40_000);
      await fault.end();
      await until(() => storedBy(publishers).length > 300, 'messages after the fault');
      await Promise.all(publishers.map((publisher) => publisher.end()));
      expect(refusalsOf(publishers)).toEqual([]);
      await server.kill();
      const again = await Server.start({ database: server.database });
      expect((await pullAll(again.url, 'bob')).slice(1)).toEqual(storedBy(publishers));
    },
  );
});

describe('a file system that is read-only', () => {
  diskTest('a read-only file system ends a start with one line, with or without a database', async () => {
    const disk = new SmallDisk(8);
    const first = await Server.start({ database: disk.database });
    const stored = await send(first.url, 'bob', 'hi');
    await first.stop();
    const files = readdirSync(disk.folder);
    disk.makeReadOnly();
    for (const database of [disk.database, `${disk.folder}/new/tidings.sqlite`]) {
      const refused = await Server.run({ database });
      expect(refused).toMatchObject({ code: 1, stdout: '' });
      expect(refused.stderr).toMatch(/^tidings: \S+ cannot be written .*\n$/);
      expect(readdirSync(disk.folder)).toEqual(files);
    }
    disk.makeWritable();
    const again = await Server.start({ database: disk.database });
    expect(await pullAll(again.url, 'bob')).toEqual([stored]);
  });
});
