/**
 * Server-Sent Events on the wire (WHATWG HTML §9.2.5, "Parsing an event stream"): pure functions from what is said to
 * its bytes. Every `data` is one line of JSON, which has no line break in it: JSON escapes CR and LF, and the stream's
 * grammar knows no other (U+2028 is none).
 */
import { draftJson, messageJson } from '../message.ts';
import type { Framing } from '../stream/framing.ts';

/** The frames of an event stream, each ended by an empty line. */
export const sseFraming: Framing = {
  protocol: 'sse',
  // No `event:` line, so that EventSource's `onmessage` sees it.
  message: (message, cursor) => `id: ${cursor}\ndata: ${messageJson(message)}\n\n`,
  // Without `id:`, so that a device's position stays where it is.
  ephemeral: (draft) => `data: ${draftJson(draft)}\n\n`,
  event: (name, data, { cursor, retry } = {}) => {
    const id = cursor === undefined ? '' : `id: ${cursor}\n`;
    // In the block of an event: some clients dispatch an event for a block that has no data.
    const wait = retry === undefined ? '' : `retry: ${retry}\n`;
    return `event: ${name}\n${id}${wait}data: ${JSON.stringify({ type: name, ...data })}\n\n`;
  },
  byteLength: (text) => Buffer.byteLength(text),
  encode: (texts) => Buffer.from(texts.join('')),
};
