// Devices that were away: each asks for the messages that it missed, and has finished when its stream is live.
import { openConnection } from './connection.js';
import { Refused, serve } from './remote.js';
import { now, Template } from './template.js';
import { Witness } from './witness.js';

serve({ catchUp });

const LIVE = 'event: live\n';

/** The end of a frame, which may be the end of a chunk. */
const FRAME_END = /\n\n(\r\n)?$/;

/** The bytes at the end of a read in which the end is looked for. */
const TAIL = 1000;

/** A message that has not come by then counts as lost. */
const SILENCE = 30_000;

/**
 * Lets devices catch up, all at once, and checks that each gets the messages that it missed, once and in order.
 *
 * @param {{ port: number, text: string, count: number, messages: number, last?: string, chunked?: boolean }} options
 *   `text`: a request with a cursor; `messages`: how many each missed; `last`: a text in one more message, which is the
 *   last, for a server that does not say when a stream is live; `chunked`: whether streams come in chunks
 * @returns {Promise<number>} microseconds from the first request until the last is live
 */
async function catchUp({ port, text, count, messages, last, chunked = false }) {
  const began = now();
  const streams = await Promise.all(
    Array.from({ length: count }, (_, index) => {
      const template = new Template(text);
      template.address(() => index);
      return device(port, template.bytes, last);
    }),
  );
  const took = now() - began;
  for (const parts of streams) check(Buffer.concat(parts).toString('latin1'), messages, chunked);
  return took;
}

/**
 * @param {number} port
 * @param {Buffer} request
 * @param {string | undefined} last
 * @returns {Promise<Buffer[]>} the bytes that came until it was live
 */
function device(port, request, last) {
  return new Promise((resolve, reject) => {
    /** @type {Buffer[]} */
    const parts = [];
    let tail = '';
    const socket = openConnection(port, (bytes) => {
      parts.push(Buffer.from(bytes));
      // The frame is the last one, and may be cut by the network.
      tail = (tail + bytes.toString('latin1', Math.max(0, bytes.length - TAIL))).slice(-TAIL);
      if (last === undefined ? !tail.includes(LIVE) : !tail.includes(last) || !FRAME_END.test(tail)) return;
      resolve(parts);
      socket.destroy();
    });
    socket.on('error', reject);
    socket.setTimeout(SILENCE, () =>
      reject(new Refused(`a stream was silent for ${SILENCE} ms before it was live`)),
    );
    socket.on('close', () => reject(new Refused('a stream was closed before it was live')));
    socket.write(request);
  });
}

/**
 * @param {string} stream
 * @param {number} messages
 * @param {boolean} chunked
 */
function check(stream, messages, chunked) {
  const witness = new Witness(chunked, true);
  witness.read(stream.slice(stream.indexOf('\r\n\r\n') + 4));
  if (witness.fault !== undefined) throw new Refused(witness.fault);
  if (witness.messages !== messages) {
    throw new Refused(`a device got ${witness.messages} messages instead of ${messages}`);
  }
}
