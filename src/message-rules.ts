import { matching, textUpTo, wholeNumber } from './rule.ts';
import type { Schema } from './schema.ts';

/**
 * The rules for the fields of a message. They are checked when a message is published, and again by the nodes of a cluster
 * when they read entries of other nodes. They must be the same on every machine and in every version: to change one, entries
 * need a new version.
 */

/** The longest content in an entry, in UTF-16 units. Publishing allows fewer bytes. */
const MAX_CONTENT = 64 * 1024;

const MAX_TTL_SECONDS = 31_536_000;

/** Returns whether a value is the content of a message: JSON on one line that fits into a frame of a stream. */
export function isContent(value: unknown): value is string {
  return typeof value === 'string' && value.length <= MAX_CONTENT && isJsonLine(value);
}

/** Returns whether a text is JSON on one line, as publishing makes it. It is copied into the frames of streams unchanged. */
export function isJsonLine(text: string): boolean {
  try {
    JSON.parse(text);
    return !text.includes('\n') && !text.includes('\r') && text.isWellFormed();
  } catch {
    return false;
  }
}

/** The rule of the type of a message. */
export const TYPE = matching(
  /^[a-z][a-z0-9._-]{0,63}$/,
  'must be 1 to 64 characters from a-z, 0-9, ".", "_" and "-", and must begin with a letter',
);

/** The rule of an idempotency key. */
export const KEY = textUpTo(128);

/** The rule of a ttl in seconds. */
export const TTL = wholeNumber(
  { min: 1, max: MAX_TTL_SECONDS },
  `must be a whole number of seconds from 1 to ${MAX_TTL_SECONDS} (a year)`,
);

/** The schema of a read marker's content, which `markerFault` checks. */
export const MARKER_SCHEMA: Schema = {
  type: 'object',
  properties: { messageId: { type: 'integer', minimum: 1, maximum: Number.MAX_SAFE_INTEGER } },
  required: ['messageId'],
  additionalProperties: false,
};

/**
 * Checks that a read marker's content is `{"messageId": n}` and nothing else. The log compares the id with its own.
 *
 * @param content a parsed JSON value
 * @returns the fault; `undefined` if there is none
 */
export function markerFault(content: unknown): string | undefined {
  const given = typeof content === 'object' && content !== null ? Object.entries(content) : [];
  const id = new Map<string, unknown>(given).get('messageId');
  if (!Number.isSafeInteger(id) || (id as number) < 1)
    return 'must be the id of the last message that was read';
  return given.length > 1 ? 'must be the only field in the content of a read marker' : undefined;
}
