/**
 * An address: a name that can send and receive. Compared byte for byte, so a name has one spelling only (NFC),
 * and nothing in it is invisible.
 */

/** In place of an address where streams and polls follow the whole log. Never an address itself. */
export const EVERYTHING = '*';

const MAX_CODE_POINTS = 128;

/** What most addresses are made of, and none of the rules is about: looked at first, since there are two in each message. */
const PLAIN = /^[A-Za-z0-9._@:-]{1,128}$/;

/**
 * Says why a value is no address.
 *
 * @returns what is wrong, as the end of the sentence "recipient …", or `undefined` where it is an address
 */
export function addressFault(value: unknown): string | undefined {
  if (typeof value !== 'string') return 'must be a string';
  if (PLAIN.test(value)) return undefined;
  if (value === '') return 'must not be empty';
  if (!value.isWellFormed()) return 'must be well-formed Unicode: it has a lone surrogate';
  // A code point is at most two UTF-16 units; the cheap test keeps a long text from being counted.
  if (value.length > 2 * MAX_CODE_POINTS || Array.from(value).length > MAX_CODE_POINTS) {
    return `must be at most ${MAX_CODE_POINTS} characters long`;
  }
  if (value.includes(EVERYTHING)) return 'must not contain "*"';
  if (value.startsWith('$')) return 'must not begin with "$", which is kept for the system';
  if (value.trim() !== value) return 'must not begin or end with white space';
  if (/[\p{Cc}\p{Cf}]/u.test(value)) return 'must not contain control or format characters';
  if (value.normalize('NFC') !== value) return 'must be in Unicode normalization form C (NFC)';
  return undefined;
}
