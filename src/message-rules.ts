/**
 * The rules for the fields of a message that publishing keeps, and that nodes of a cluster check in what others put into its
 * stream. They are the same on every machine and in every version: a change of one needs a newer version of entries.
 */

/** The longest content in an entry, in UTF-16 units: publishing takes fewer bytes. */
const MAX_CONTENT = 64 * 1024;

const MAX_TTL_SECONDS = 31_536_000;
const MAX_KEY_CODE_POINTS = 128;
const TYPE_PATTERN = /^[a-z][a-z0-9._-]{0,63}$/;

/** Returns whether a value is the content of a message: JSON on one line, not longer than a frame of a stream may be. */
export function isContent(value: unknown): value is string {
  return typeof value === 'string' && value.length <= MAX_CONTENT && isJsonLine(value);
}

/** Returns whether a text is JSON on one line, as publishing makes it: a frame of a stream has it as it is. */
export function isJsonLine(text: string): boolean {
  try {
    JSON.parse(text);
    return !text.includes('\n') && !text.includes('\r') && text.isWellFormed();
  } catch {
    return false;
  }
}

/** Describes why a value is not the type of a message; `undefined` if it is one. */
export function typeFault(value: unknown): string | undefined {
  return typeof value === 'string' && TYPE_PATTERN.test(value)
    ? undefined
    : 'must be 1 to 64 of a-z, 0-9, ".", "_", "-", beginning with a letter';
}

/**
 * Describes why a value is not an idempotency key.
 *
 * @returns the fault; `undefined` if the value is a key
 */
export function keyFault(value: unknown): string | undefined {
  if (typeof value !== 'string') return 'must be a string';
  if (!value.isWellFormed()) return 'must be well-formed Unicode: it has a lone surrogate';
  const length = value.length > 2 * MAX_KEY_CODE_POINTS ? Infinity : Array.from(value).length;
  return length >= 1 && length <= MAX_KEY_CODE_POINTS
    ? undefined
    : `must be 1 to ${MAX_KEY_CODE_POINTS} characters long`;
}

/** Describes why a value is not a ttl in seconds; `undefined` if it is one. */
export function ttlFault(value: unknown): string | undefined {
  return Number.isInteger(value) && (value as number) >= 1 && (value as number) <= MAX_TTL_SECONDS
    ? undefined
    : `must be a whole number of seconds from 1 to ${MAX_TTL_SECONDS} (a year)`;
}

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
  return given.length > 1 ? 'must stand alone in the content of a read marker' : undefined;
}
