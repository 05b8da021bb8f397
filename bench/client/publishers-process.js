// The publishers of a run, as one process.
import { RequestConnection } from './connection.js';
import { pace } from './pace.js';
import { percentiles } from './percentiles.js';
import { serve } from './remote.js';
import { now, Template } from './template.js';

serve({ publish, pace });

/**
 * Keeps publishes in flight, each on its own connection.
 *
 * @param {{ ports: readonly number[], text: string, inFlight: number, requests: number, messages: number, inboxes?: number, timing?: boolean }} options
 *   the connections are spread evenly over `ports`; there are `requests` in all, each the `text`, with so many
 *   `messages`; with `inboxes` they are spread evenly over so many inboxes, each of which gets its messages from one
 *   publisher, in the order of their count; `timing`: whether to measure how long each answer takes
 * @returns {Promise<{ began: number, ended: number, answers: import('./percentiles.js').Percentiles }>} when the first
 *   was sent and when the last was answered, and microseconds until an answer, if they were measured
 */
async function publish({ ports, text, inFlight, requests, messages, inboxes, timing = false }) {
  const connections = Array.from({ length: Math.min(inFlight, requests) }, (_, index) => {
    return new RequestConnection(ports[index % ports.length] ?? 0);
  });
  /** @type {number[]} */
  const times = [];
  await Promise.all(connections.map(({ opened }) => opened));
  let left = requests;
  const began = now();
  await Promise.all(
    connections.map((connection, index) => {
      const template = new Template(text);
      const share = inboxes === undefined ? 0 : Math.ceil((inboxes - index) / inFlight);
      let own = inboxes === undefined ? 0 : Math.round((requests * share) / inboxes);
      return publisher(
        connection,
        template.bytes,
        (sent) => {
          if (inboxes === undefined ? left-- <= 0 : own-- <= 0) return false;
          const count = sent * messages;
          template.number(index, count);
          template.sign(count + index);
          template.address((place) => index + inFlight * ((count + place) % share));
          return true;
        },
        timing ? times : undefined,
      );
    }),
  );
  return { began, ended: now(), answers: percentiles(times) };
}

/**
 * @param {RequestConnection} connection
 * @param {Buffer} bytes
 * @param {(sent: number) => boolean} next prepares the bytes of the next publish, if there is one
 * @param {number[] | undefined} times gets the microseconds until each answer
 * @returns {Promise<void>}
 */
function publisher(connection, bytes, next, times) {
  return new Promise((resolve, reject) => {
    let sent = 0;
    let sentAt = 0;
    const send = () => {
      if (next(sent++)) {
        if (times !== undefined) sentAt = now();
        connection.send(bytes, settle);
      } else {
        connection.close();
        resolve();
      }
    };
    /** @param {Error} [error] */
    const settle = (error) => {
      if (error === undefined) {
        times?.push(now() - sentAt);
        send();
      } else {
        connection.close();
        reject(error);
      }
    };
    send();
  });
}
