import { readdirSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { afterEach, expect, test } from '@jest/globals';
import { send } from '../support/api.ts';
import { expectProblem } from '../support/problems.ts';
import { pullAll } from '../support/pull.ts';
import { exchange, type RawAnswer } from '../support/raw.ts';
import { cleanUp, Server, undoAtEnd } from '../support/server.ts';
import { DeviceStream } from '../support/stream.ts';
import { until } from '../support/until.ts';

afterEach(cleanUp);

const OF_EACH = 100;
const HEADER = 'GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ';
const BODY =
  'POST /messages HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n\r\n{';

/** Sends a beginning, and then a byte every now and then, until the server has had enough. */
function drip(beginning: string): (socket: Socket) => void {
  return (socket) => {
    socket.write(beginning);
    const drops = setInterval(() => {
      if (!socket.destroyed) socket.write('x');
    }, 200);
    socket.on('close', () => clearInterval(drops));
  };
}

const several = (port: number, write: (socket: Socket) => void): Promise<RawAnswer[]> =>
  Promise.all(Array.from({ length: OF_EACH }, () => exchange(port, write)));

test('clients that send nothing, or drip a header or body, get 408 and are closed, while others are served', async () => {
  const server = await Server.start();
  const device = await DeviceStream.open(server.url, 'recipient=bob');
  await device.waitFor('live');
  const openFiles = (): number => readdirSync(`/proc/${server.pid}/fd`).length;
  const before = openFiles();

  const bodies = several(server.port, drip(BODY));
  const headers = Promise.all([() => undefined, drip(HEADER)].map((write) => several(server.port, write)));
  const slow = Promise.all([headers, bodies]);
  const ended: string[] = [];
  void headers.finally(() => ended.push('headers'));
  void bodies.finally(() => ended.push('bodies'));
  // These do not close their own side even when they are told.
  const stubborn = Array.from({ length: OF_EACH }, () =>
    connect({ port: server.port, host: '127.0.0.1', allowHalfOpen: true }).on('error', () => undefined),
  );
  undoAtEnd(() => {
    for (const socket of stubborn) socket.destroy();
  });
  // Not by an exact count: the check after the start closes files of its own.
  await until(() => openFiles() > before + 3.5 * OF_EACH, 'the slow ones');
  const served = [await send(server.url, 'bob', 'meanwhile')];
  await device.waitForMessages(1);
  // One after the other, as long as there is a slow one.
  let over = false;
  void slow.finally(() => (over = true));
  await until(async () => {
    served.push(await send(server.url, 'bob', 'and now'));
    return over;
  }, 'the end of all the slow ones');
  for (const answers of [...(await headers), await bodies]) {
    for (const answer of answers) expectProblem(answer, 408, []);
  }
  // A header has less time.
  expect(ended).toEqual(['headers', 'bodies']);
  // But for those that are kept alive for another request.
  await until(() => openFiles() < before + OF_EACH / 2, 'their files to be closed');

  await device.waitForMessages(served.length);
  expect(device.messages).toEqual(served);
  expect(device.closed).toBe(false);
  expect(await pullAll(server.url, 'bob')).toEqual(served);
  expect(server.stderr).not.toMatch(/"level":(50|60)/);
});
