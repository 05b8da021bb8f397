/**
 * Server-Sent Events (WHATWG HTML §9.2.5, "Parsing an event stream"), as pure functions. Every `data` is one line of
 * JSON. JSON escapes CR and LF. Characters that only some clients treat as line ends are escaped when the text is
 * encoded.
 *
 * `id` is the last line of its block. Some clients update their position when they read that line, not when the block
 * ends. With `id` before `data`, they would lose the message if the connection broke in between.
 */
import { ephemeralJson, messageJson } from '../message.ts';
import { oneLine } from '../one-line.ts';
import type { Framing } from '../wire/framing.ts';

/** The frames of an event stream, each ended by an empty line. */
export const sseFraming: Framing = {
  protocol: 'sse',
  // No `event:` line: EventSource then calls `onmessage`.
  message: (message, cursor) => `data: ${messageJson(message)}\nid: ${cursor}\n\n`,
  // Without `id:`: the client's position does not change.
  ephemeral: (message) => `data: ${ephemeralJson(message)}\n\n`,
  event: (name, data, { cursor, retry } = {}) => {
    const id = cursor === undefined ? '' : `id: ${cursor}\n`;
    // `retry:` is sent inside the block of an event, because some clients dispatch an event even for a block without
    // data.
    const wait = retry === undefined ? '' : `retry: ${retry}\n`;
    return `event: ${name}\n${wait}data: ${JSON.stringify({ type: name, ...data })}\n${id}\n`;
  },
  byteLength: (text) => {
    const bytes = Buffer.byteLength(text);
    // ASCII only: nothing is escaped.
    return bytes === text.length ? bytes : Buffer.byteLength(oneLine(text));
  },
  // Escape a whole page at once: the characters occur only in its JSON.
  encode: (texts) => Buffer.from(oneLine(texts.join(''))),
};
