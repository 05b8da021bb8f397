/**
 * WebSocket frames (RFC 6455 §5.2), as pure functions. Each frame is one unmasked text message of JSON, so its bytes
 * are the same for every client.
 */
import { ephemeralJson, messageJson } from '../message.ts';
import type { Framing } from '../wire/framing.ts';

/** The first byte of a frame: FIN and the opcode of a text message. */
const WHOLE_TEXT = 0x81;

/**
 * The largest length that the seven bits hold directly. The two larger values mean that the length follows in two or
 * eight bytes.
 */
const SHORT = 125;
const TWO_BYTES = 126;
const EIGHT_BYTES = 127;
const MAX_OF_TWO_BYTES = 0xffff;

/**
 * The frames of a WebSocket. They have the same fields as an event stream, except that an event stream omits `event`
 * for `message`.
 */
export const webSocketFraming: Framing = {
  protocol: 'websocket',
  message: (message, cursor) => `{"event":"message","id":"${cursor}","data":${messageJson(message)}}`,
  // Without `id`: the client's position does not change.
  ephemeral: (message) => `{"event":"message","data":${ephemeralJson(message)}}`,
  event: (name, data, { cursor, retry } = {}) =>
    JSON.stringify({ event: name, id: cursor, data: { type: name, ...data }, retry }),
  byteLength: (text) => {
    const length = Buffer.byteLength(text);
    return headerLength(length) + length;
  },
  encode: (texts) => {
    const frames = Buffer.allocUnsafe(
      texts.reduce((sum, text) => sum + webSocketFraming.byteLength(text), 0),
    );
    let at = 0;
    for (const text of texts) {
      at = writeHeader(frames, at, Buffer.byteLength(text));
      at += frames.write(text, at);
    }
    return frames;
  },
};

function headerLength(length: number): number {
  if (length <= SHORT) return 2;
  return length <= MAX_OF_TWO_BYTES ? 4 : 10;
}

/** Writes the header of a frame at an offset. @returns the offset of the payload */
function writeHeader(frames: Buffer, at: number, length: number): number {
  const next = frames.writeUInt8(WHOLE_TEXT, at);
  if (length <= SHORT) return frames.writeUInt8(length, next);
  if (length <= MAX_OF_TWO_BYTES) {
    return frames.writeUInt16BE(length, frames.writeUInt8(TWO_BYTES, next));
  }
  return frames.writeBigUInt64BE(BigInt(length), frames.writeUInt8(EIGHT_BYTES, next));
}
