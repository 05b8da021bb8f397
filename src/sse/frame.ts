/**
 * Server-Sent Events on the wire (WHATWG HTML §9.2.5, "Parsing an event stream"): pure functions from what is said to
 * its bytes. Every `data` is one line of JSON, without anything that ends a line: JSON escapes CR and LF, and what only
 * some clients take for a line end is escaped when the text is made bytes.
 *
 * `id` is the last line of its block. Some clients move their position when they read that line, not when the block is
 * whole: with `id` before `data`, a connection that breaks in between would lose the message.
 */
import { draftJson, messageJson } from '../message.ts';
import { oneLine } from '../one-line.ts';
import type { Framing } from '../stream/framing.ts';

/** The frames of an event stream, each ended by an empty line. */
export const sseFraming: Framing = {
  protocol: 'sse',
  // No `event:` line, so that EventSource's `onmessage` sees it.
  message: (message, cursor) => `data: ${messageJson(message)}\nid: ${cursor}\n\n`,
  // Without `id:`, so that a device's position stays where it is.
  ephemeral: (draft) => `data: ${draftJson(draft)}\n\n`,
  event: (name, data, { cursor, retry } = {}) => {
    const id = cursor === undefined ? '' : `id: ${cursor}\n`;
    // In the block of an event: some clients dispatch an event for a block that has no data.
    const wait = retry === undefined ? '' : `retry: ${retry}\n`;
    return `event: ${name}\n${wait}data: ${JSON.stringify({ type: name, ...data })}\n${id}\n`;
  },
  byteLength: (text) => {
    const bytes = Buffer.byteLength(text);
    // Of ASCII alone: nothing is escaped.
    return bytes === text.length ? bytes : Buffer.byteLength(oneLine(text));
  },
  // Once for all of a page: the characters that are escaped can be in its JSON alone.
  encode: (texts) => Buffer.from(oneLine(texts.join(''))),
};
