// The publishers of a run, as one process.
import { RequestConnection } from './connection.js';
import { pace } from './pace.js';
import { serve } from './remote.js';
import { now, Template } from './template.js';

serve({ publish, pace });

/**
 * Keeps publishes in flight, each on a connection of its own.
 *
 * @param {{ port: number, text: string, inFlight: number, requests: number, messages: number, inboxes?: number }} options
 *   `requests` in all, each the `text`, of so many `messages`; with `inboxes` they are spread evenly over so many, and
 *   each of these has its messages from one publisher, in the order of their count
 * @returns {Promise<{ began: number, ended: number }>} when the first was sent and the last answered
 */
async function publish({ port, text, inFlight, requests, messages, inboxes }) {
  const connections = Array.from({ length: Math.min(inFlight, requests) }, () => new RequestConnection(port));
  await Promise.all(connections.map(({ opened }) => opened));
  let left = requests;
  const began = now();
  await Promise.all(
    connections.map((connection, index) => {
      const template = new Template(text);
      const share = inboxes === undefined ? 0 : Math.ceil((inboxes - index) / inFlight);
      let own = inboxes === undefined ? 0 : Math.round((requests * share) / inboxes);
      return publisher(connection, template.bytes, (sent) => {
        if (inboxes === undefined ? left-- <= 0 : own-- <= 0) return false;
        const count = sent * messages;
        template.number(index, count);
        template.sign(count + index);
        template.address((place) => index + inFlight * ((count + place) % share));
        return true;
      });
    }),
  );
  return { began, ended: now() };
}

/**
 * @param {RequestConnection} connection
 * @param {Buffer} bytes
 * @param {(sent: number) => boolean} next prepares the bytes for another, if there is one
 * @returns {Promise<void>}
 */
function publisher(connection, bytes, next) {
  return new Promise((resolve, reject) => {
    let sent = 0;
    const send = () => {
      if (next(sent++)) connection.send(bytes, settle);
      else {
        connection.close();
        resolve();
      }
    };
    /** @param {Error} [error] */
    const settle = (error) => {
      if (error === undefined) send();
      else {
        connection.close();
        reject(error);
      }
    };
    send();
  });
}
