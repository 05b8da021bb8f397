import type { Draft } from '../message.ts';

/** A batch with what waits for its answer: the request, its response, promises. */
const BATCH_BYTES = 4096;

/** A draft without its texts, where it is and where its id will be. */
const DRAFT_BYTES = 160;

/** A string without its characters, and a reference to it. */
const STRING_BYTES = 24;

/** Shorter ones are not looked into: they count as if their characters had two bytes. */
const SHORT = 32;

/**
 * Estimates what a batch takes in memory while it waits to be stored. It was measured with batches of small and large
 * messages (the integration test `waiting` does so again): its objects are often more than its content.
 *
 * @returns bytes
 */
export function weightOf(batch: readonly Draft[]): number {
  let bytes = BATCH_BYTES;
  for (const { sender, recipient, content, idempotencyKey } of batch) {
    bytes += DRAFT_BYTES + textBytes(sender) + textBytes(recipient) + textBytes(content);
    if (idempotencyKey !== null) bytes += textBytes(idempotencyKey);
  }
  return bytes;
}

/** V8 keeps a text in one byte a character if all of them are Latin-1, else in two. */
function textBytes(text: string): number {
  const isWide = text.length < SHORT || Buffer.byteLength(text) > text.length;
  return STRING_BYTES + (isWide ? 2 : 1) * text.length;
}
