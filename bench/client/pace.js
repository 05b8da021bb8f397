import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises';
import { RequestConnection } from './connection.js';
import { now, Template } from './template.js';

/** The most publishes in flight. Further ones that are due wait, and their time counts. */
const CONNECTIONS = 256;

const clock = new Int32Array(new SharedArrayBuffer(4));

/** One of the connections, with the bytes of its request. */
class Publisher {
  /** The number of requests sent. */
  sent = 0;
  connection;
  template;

  /**
   * @param {number} port
   * @param {string} text
   */
  constructor(port, text) {
    this.connection = new RequestConnection(port);
    this.template = new Template(text);
  }
}

/**
 * Publishes at set times, whether or not earlier publishes were answered. Publishes that were not sent when the time
 * ends are left out.
 *
 * @param {{ port: number, text: string, rate: number, seconds: number, stampEvery: number }} options `stampEvery`: one
 *   of this many messages is timed
 * @returns {Promise<{ sent: number, reached: number }>} `reached`: the number answered each second within the time
 */
export async function pace({ port, text, rate, seconds, stampEvery }) {
  const publishers = Array.from({ length: CONNECTIONS }, () => new Publisher(port, text));
  await Promise.all(publishers.map(({ connection }) => connection.opened));
  const free = [...publishers.keys()].reverse();
  const total = Math.round(rate * seconds);
  const began = now();
  const end = began + seconds * 1e6;
  let sent = 0;
  let inTime = 0;
  /** @type {Error | undefined} */
  let failure;
  while (sent < total && now() < end && failure === undefined) {
    const due = began + Math.round((sent * 1e6) / rate);
    const index = due > now() ? undefined : free.pop();
    const publisher = index === undefined ? undefined : publishers[index];
    if (index === undefined || publisher === undefined) {
      await until(due);
      continue;
    }
    const { connection, template } = publisher;
    template.number(index, publisher.sent++);
    template.stamp(sent++ % stampEvery === 0 ? due : 0);
    connection.send(template.bytes, (error) => {
      failure ??= error;
      free.push(index);
      if (now() < end) inTime++;
    });
  }
  while (free.length < CONNECTIONS && failure === undefined) await sleep(1);
  for (const { connection } of publishers) connection.close();
  if (failure !== undefined) throw failure;
  return { sent, reached: inTime / seconds };
}

/**
 * Waits for a moment, or for answers if it has passed. A timer is a millisecond late, so this blocks the event loop for
 * the last part of the time.
 *
 * @param {number} due
 */
async function until(due) {
  const left = due - now();
  if (left > 2000) await sleep(Math.floor(left / 1000) - 1);
  else if (left > 0) Atomics.wait(clock, 0, 0, left / 1000);
  await turn();
}
