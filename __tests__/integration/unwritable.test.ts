import { afterEach, describe, expect } from '@jest/globals';
import { get, publish, send } from '../support/api.ts';
import { cleanUp, Server } from '../support/server.ts';
import { DeviceStream } from '../support/stream.ts';
import { testWithTool } from '../support/tool.ts';
import { until } from '../support/until.ts';

afterEach(cleanUp);

/** Reports that the disk is full where a file would grow past this: the limit on the size of files stands in for it. */
const LIMITED = ['prlimit', '--fsize=250000:unlimited'];

describe('a log that cannot be written', () => {
  testWithTool('prlimit', 'util-linux')(
    'a log that cannot be written refuses publishes, keeps its streams, and takes messages again when it can',
    async () => {
      // node ignores SIGXFSZ, so that a write past the limit fails with EFBIG.
      const server = await Server.start({ wrapper: LIMITED });
      const device = await DeviceStream.open(server.url, 'recipient=bob');
      await device.waitFor('live');
      const stored: number[] = [];
      let refused;
      while (refused === undefined && stored.length < 1000) {
        const answer = await publish(server.url, { recipient: 'bob', content: 'x'.repeat(4000) });
        if (answer.status === 201) stored.push((answer.body as { id: number }).id);
        else refused = answer;
      }
      expect(refused?.status).toBe(503);
      expect(refused?.headers.has('retry-after')).toBe(true);
      expect(JSON.stringify(refused?.body)).not.toMatch(/SQLITE|\.sqlite/);
      // The try of /readyz is smaller than a publish: it may still fit a few times.
      await until(async () => (await get(server.url, '/readyz')).status === 503, 'not ready');
      expect((await get(server.url, '/healthz')).status).toBe(200);
      expect((await get(server.url, '/messages?recipient=bob')).status).toBe(200);

      server.raiseFileSizeLimit();
      await until(async () => (await get(server.url, '/readyz')).status === 200, 'ready again');
      const after = await send(server.url, 'bob', 'again');
      await device.waitForMessages(stored.length + 1);
      expect(device.ids).toEqual([...stored, after.id]);
      expect(device.closed).toBe(false);
      expect((await server.stop()).code).toBe(0);
    },
  );
});
