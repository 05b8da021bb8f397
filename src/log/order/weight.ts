import type { Draft } from '../../message.ts';

/** The size of a batch with everything that waits for its answer: the request, its response, promises. */
const BATCH_BYTES = 4096;

/** The size of a draft without its texts, including its slots in the list of drafts and in the list of ids. */
const DRAFT_BYTES = 160;

/** The size of a string without its characters, including a reference to it. */
const STRING_BYTES = 24;

/** In strings shorter than this, characters are not examined: each counts as two bytes. */
const SHORT = 32;

/**
 * Estimates the memory that a batch takes while it waits to be stored. The sizes were measured with small and large
 * messages, and the unit test `waiting` measures them again: objects often take more than their content.
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

/** Estimates the bytes of a string. V8 uses one byte per character if all are Latin-1, else two. */
function textBytes(text: string): number {
  const isWide = text.length < SHORT || Buffer.byteLength(text) > text.length;
  return STRING_BYTES + (isWide ? 2 : 1) * text.length;
}
