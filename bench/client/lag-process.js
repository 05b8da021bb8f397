// A client that publishes on one node, and listens on the others.
import { setTimeout as sleep } from 'node:timers/promises';
import { tidings } from '../peers/tidings.js';
import { openConnection, RequestConnection } from './connection.js';
import { percentiles } from './percentiles.js';
import { Refused, serve } from './remote.js';
import { CONTENT, MARKS, now, Template } from './template.js';

serve({ lag });

const RECIPIENT = 'lag';

/** A message that has not come by then counts as lost. */
const PATIENCE = 30_000;

/**
 * Measures how long after its answer a message is on the streams of other nodes.
 *
 * @param {{ port: number, others: readonly number[], count: number, pause: number }} options `count`: of publishes;
 *   `pause`: milliseconds between them
 * @returns {Promise<import('./percentiles.js').Percentiles>} microseconds; negative if it came before the answer
 */
async function lag({ port, others, count, pause }) {
  /** The time when each message was answered, by its count. @type {number[]} */
  const answered = [];
  /** @type {{ count: number, at: number }[]} */
  const arrivals = [];
  const sockets = await Promise.all(
    others.map((other) => listen(other, (found) => arrivals.push({ count: found, at: now() }))),
  );
  const connection = new RequestConnection(port);
  await connection.opened;
  const template = new Template(tidings.publish(port, RECIPIENT, [CONTENT]));
  for (let sent = 0; sent < count; sent++) {
    template.number(0, sent);
    await new Promise((resolve, reject) => {
      connection.send(template.bytes, (error) => (error === undefined ? resolve(undefined) : reject(error)));
    });
    answered.push(now());
    await sleep(pause);
  }
  const end = performance.now() + PATIENCE;
  while (arrivals.length < count * others.length && performance.now() < end) await sleep(10);
  connection.close();
  for (const socket of sockets) socket.destroy();
  if (arrivals.length !== count * others.length) {
    throw new Refused(`${arrivals.length} messages came instead of ${count * others.length}`);
  }
  return percentiles(arrivals.map(({ count: found, at }) => at - (answered[found] ?? NaN)));
}

/**
 * Opens a stream, and waits until it is live.
 *
 * @param {number} port
 * @param {(count: number) => void} take gets the count of each message
 * @returns {Promise<import('node:net').Socket>}
 */
function listen(port, take) {
  return new Promise((resolve, reject) => {
    let isLive = false;
    let rest = '';
    const socket = openConnection(port, (bytes) => {
      const text = rest + bytes.toString('latin1');
      let end = 0;
      if (!isLive && text.includes(tidings.live)) {
        isLive = true;
        end = text.indexOf(tidings.live);
        resolve(socket);
      }
      if (isLive) {
        for (const mark of text.slice(end).matchAll(MARKS)) {
          take(Number(mark[2]));
          end = text.indexOf(mark[0], end) + mark[0].length;
        }
      }
      rest = text.slice(Math.max(end, text.length - 200));
    });
    socket.on('error', reject);
    socket.write(tidings.stream(port, [RECIPIENT]));
  });
}
