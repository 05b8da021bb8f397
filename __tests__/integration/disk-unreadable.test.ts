import { afterEach, expect } from '@jest/globals';
import { get, send, type WireMessage } from '../support/api.ts';
import { expectProblem } from '../support/problems.ts';
import { pullAll } from '../support/pull.ts';
import { cleanUp, Server } from '../support/server.ts';
import { SocketDevice } from '../support/socket-device.ts';
import { DeviceStream } from '../support/stream.ts';
import { SystemFault } from '../support/system-fault.ts';
import { testWithTool } from '../support/tool.ts';
import { until } from '../support/until.ts';

afterEach(cleanUp);

const isReady = async ({ url }: Server): Promise<boolean> => (await get(url, '/readyz')).status === 200;

testWithTool('strace', 'strace')(
  'a service whose disk cannot be read is not ready, answers every read with 503, and recovers with the disk',
  async () => {
    const first = await Server.start();
    const stored: WireMessage[] = [];
    for (let count = 0; count < 20; count++) stored.push(await send(first.url, 'bob', 'x'.repeat(20_000)));
    await first.stop();
    const server = await Server.start({ database: first.database, env: { LOG_LEVEL: 'debug' } });
    await server.waitForCheck();
    const bystander = await DeviceStream.open(server.url, 'recipient=ann');
    await bystander.waitFor('live');
    expect(await isReady(server)).toBe(true);

    const fault = await SystemFault.begin(server, 'pread64', 'EIO');
    // Though the cache has all that the trial looks at.
    await until(async () => !(await isReady(server)), 'not ready');
    for (const path of [
      '/messages?recipient=bob',
      '/messages?recipient=bob&before=latest',
      '/messages?between=bob&between=anonymous',
      '/messages/3',
      '/conversations?recipient=bob',
      '/push-subscriptions?recipient=bob',
      '/stream?recipient=bob&last=10',
    ]) {
      const answer = await get(server.url, path);
      expectProblem(answer, 503, []);
      expect(answer.headers.get('retry-after')).toMatch(/^[1-9]\d*$/);
      expect(JSON.stringify(answer.body)).toContain('the log cannot be read');
      expect(JSON.stringify(answer.body)).not.toContain('SQLITE');
    }
    // EventSource, and a page with a WebSocket, would give up for good on that.
    const away = await DeviceStream.open(server.url, 'recipient=bob&last=10', {
      headers: { 'X-Request-Id': 'a-stream' },
    });
    await away.waitForEnd();
    const page = { headers: { Origin: server.url, 'X-Request-Id': 'a-socket' } };
    const socket = await SocketDevice.open(server.url, 'recipient=bob&last=10', page);
    await until(() => socket.close !== undefined, 'the end of the socket');
    expect(socket.close).toEqual({ code: 1013, reason: 'unavailable' });
    for (const { events } of [away, socket]) {
      expect(events).toMatchObject([{ event: 'bye', data: { type: 'bye', reason: 'unavailable' } }]);
    }
    expect(away.retries).toEqual([expect.any(Number)]);
    // The operator learns why all the same.
    for (const id of ['a-stream', 'a-socket']) {
      const line = server.stderr.split('\n').find((one) => one.includes(id) && one.includes('"level":50'));
      expect(line).toContain('SqliteError');
    }
    expect((await get(server.url, '/healthz')).status).toBe(200);
    expect(bystander.closed).toBe(false);
    await fault.end();

    await until(() => isReady(server), 'ready');
    stored.push(await send(server.url, 'bob', 'again'));
    expect(await pullAll(server.url, 'bob')).toEqual(stored);
    for (const said of ['"the log cannot be read"', '"the log can be read again"']) {
      expect(server.stderr.split(`"msg":${said}`)).toHaveLength(2);
    }
    expect(server.stderr).toMatch(/SQLITE_(CORRUPT|IOERR)/);
  },
);
