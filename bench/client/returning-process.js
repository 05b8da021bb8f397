// Devices that come back, with a cursor that may be ahead of their node.
import { setTimeout as sleep } from 'node:timers/promises';
import { get } from '../peers/peer.js';
import { openConnection } from './connection.js';
import { Refused, serve } from './remote.js';
import { now } from './template.js';
import { Witness } from './witness.js';

serve({ comeBack });

const LIVE = 'event: live\n';
const RESTORED = '"gap":"restored"';

/** The shortest pause after a connection that was refused or broke; the longest is twice that. */
const PAUSE_MILLISECONDS = 500;

/** Finds the pause that a device was told. */
const RETRY = /^retry: (\d+)$/m;

/**
 * Lets devices come back, and checks that each gets the messages that it missed, once and in order, and is not told
 * `restored`.
 *
 * @param {{ port: number, recipient: string, cursor: string, count: number, messages: number, patience: number }} options
 *   `messages`: how many each missed; `patience`: milliseconds
 * @returns {Promise<{ at: number, refused: number, ended: number }>} when the last one was live, in microseconds; and
 *   how often a device could not connect, or was told to come back
 */
async function comeBack({ port, recipient, cursor, count, messages, patience }) {
  const text = get(port, `/stream?recipient=${recipient}&lastEventId=${encodeURIComponent(cursor)}`);
  const end = performance.now() + patience;
  const tally = { refused: 0, ended: 0 };
  await Promise.all(
    Array.from({ length: count }, async () => {
      while (performance.now() < end) {
        const stream = await attempt(port, text);
        if (stream.includes(LIVE)) {
          check(stream, messages);
          return;
        }
        if (stream === '') tally.refused++;
        else tally.ended++;
        const pause = Number(RETRY.exec(stream)?.[1] ?? PAUSE_MILLISECONDS * (1 + Math.random()));
        await sleep(pause);
      }
      throw new Refused('a device is not live');
    }),
  );
  return { at: now(), ...tally };
}

/**
 * @param {number} port
 * @param {string} text
 * @returns {Promise<string>} the text that came until the stream was live, or ended
 */
function attempt(port, text) {
  return new Promise((resolve) => {
    let stream = '';
    const socket = openConnection(port, (bytes) => {
      stream += bytes.toString('latin1');
      if (stream.includes(LIVE)) resolve(stream);
    });
    socket.on('error', () => resolve(stream));
    socket.on('close', () => resolve(stream));
    socket.write(text);
  });
}

/**
 * @param {string} stream
 * @param {number} messages
 */
function check(stream, messages) {
  if (stream.includes(RESTORED)) throw new Refused('a device was told that the log was restored');
  const witness = new Witness(false, true);
  witness.read(stream.slice(stream.indexOf('\r\n\r\n') + 4));
  if (witness.fault !== undefined) throw new Refused(witness.fault);
  if (witness.messages !== messages)
    throw new Refused(`a device got ${witness.messages} messages instead of ${messages}`);
}
