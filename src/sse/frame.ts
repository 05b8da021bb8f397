/**
 * Server-Sent Events on the wire (WHATWG HTML §9.2.5, "Parsing an event stream"): pure functions from what is said to
 * its bytes. Every `data` is one line of JSON, which has no line break in it: JSON escapes CR and LF, and the stream's
 * grammar knows no other (U+2028 is none).
 */
import type { WirePresence } from '../hub/presence.ts';
import { draftJson, messageJson, type Draft, type Message } from '../message.ts';

/** What the server itself says, by event name. */
export interface ServerEvents {
  /** `expiresAt`: when the token ends, and the stream with it. */
  ready: { readonly cursor: string; readonly gap: false | string; readonly expiresAt?: string };
  live: { readonly cursor: string; readonly replayed: number };
  heartbeat: { readonly at: string };
  presence: { readonly recipient: string } & WirePresence;
  bye: { readonly reason: ByeReason };
}

/** Why the server ends a stream. */
export type ByeReason = 'shutdown' | 'token-expired' | 'too-slow' | 'over-limit';

/** A stored message: no `event:` line, so that EventSource's `onmessage` sees it. */
export function messageFrame(message: Message, cursor: string): string {
  return `id: ${cursor}\ndata: ${messageJson(message)}\n\n`;
}

/** A message that is not stored: without `id:`, so that a device's position stays where it is. */
export function ephemeralFrame(draft: Draft): string {
  return `data: ${draftJson(draft)}\n\n`;
}

/**
 * Something that the server says.
 *
 * @param cursor the device's position after this frame; left out where the frame does not move it
 */
export function serverFrame<Name extends keyof ServerEvents>(
  name: Name,
  data: ServerEvents[Name],
  cursor?: string,
): string {
  const id = cursor === undefined ? '' : `id: ${cursor}\n`;
  return `event: ${name}\n${id}data: ${JSON.stringify({ type: name, ...data })}\n\n`;
}

/** How long a client waits before it connects again, in whole milliseconds. */
export function retryFrame(milliseconds: number): string {
  return `retry: ${milliseconds}\n\n`;
}

/** A span from which each stream gets a value of its own, so that devices do not all return at once. */
export interface RetrySpread {
  readonly least: number;
  readonly most: number;
}

/** For a stream that is served. */
export const RETRY_SERVED: RetrySpread = { least: 1000, most: 4000 };

/** For a client that is sent away for now. */
export const RETRY_REFUSED: RetrySpread = { least: 5000, most: 15_000 };

/** A wait out of a spread, in whole milliseconds. */
export function spreadRetry({ least, most }: RetrySpread): number {
  return least + Math.floor(Math.random() * (most - least + 1));
}
