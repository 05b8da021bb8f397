/**
 * WebSocket frames (RFC 6455 §5.2): pure functions from what is said to its bytes. Each is one unmasked text message of
 * JSON, so the same bytes for every client.
 */
import { draftJson, messageJson } from '../message.ts';
import type { Framing } from '../stream/framing.ts';

/** FIN, and the opcode of a text message. */
const WHOLE_TEXT = 0x81;

/** Up to here the length stands in seven bits; past it these say how many bytes it has. */
const SHORT = 125;
const TWO_BYTES = 126;
const EIGHT_BYTES = 127;
const MOST_OF_TWO_BYTES = 0xffff;

/** A message's fields are those of an event stream; `event` is `message` where that has none. */
export const webSocketFraming: Framing = {
  protocol: 'websocket',
  message: (message, cursor) => `{"event":"message","id":"${cursor}","data":${messageJson(message)}}`,
  // Without `id`, so that a device's position stays where it is.
  ephemeral: (draft) => `{"event":"message","data":${draftJson(draft)}}`,
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
  return length <= MOST_OF_TWO_BYTES ? 4 : 10;
}

/** @returns where the payload begins */
function writeHeader(frames: Buffer, at: number, length: number): number {
  const next = frames.writeUInt8(WHOLE_TEXT, at);
  if (length <= SHORT) return frames.writeUInt8(length, next);
  if (length <= MOST_OF_TWO_BYTES) {
    return frames.writeUInt16BE(length, frames.writeUInt8(TWO_BYTES, next));
  }
  return frames.writeBigUInt64BE(BigInt(length), frames.writeUInt8(EIGHT_BYTES, next));
}
