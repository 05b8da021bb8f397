import type { Rule } from './rule.ts';

/**
 * An address is a name that can send and receive. Addresses are compared byte for byte, so a name has only one spelling
 * (NFC) and no invisible characters.
 */

/** Stands for all addresses in streams and polls of the whole log. It is never an address itself. */
export const EVERYTHING = '*';

const MAX_CODE_POINTS = 128;

/**
 * The rules of an address that a regular expression can state in every language: no `*`, no control character, no `$` at the
 * beginning, no white space at either end. It cannot state that the spelling is NFC and that there are no format characters.
 */
const PATTERN =
  '^[^\\s$*\\u0000-\\u001f\\u007f-\\u009f]([^*\\u0000-\\u001f\\u007f-\\u009f]*[^\\s*\\u0000-\\u001f\\u007f-\\u009f])?$';

/** Most addresses match this pattern, and so follow all rules. It is tested first: each message has two addresses. */
const PLAIN = /^[A-Za-z0-9._@:-]{1,128}$/;

/**
 * Returns the rule that a value breaks as an address.
 *
 * @returns the end of the sentence "recipient …"; `undefined` if the value is an address
 */
export function addressFault(value: unknown): string | undefined {
  return isPlain(value) ? undefined : (formFault(value) ?? spellingFault(value as string));
}

/**
 * Returns whether a value follows the rules of addresses that do not depend on the version of Unicode. The nodes of a
 * cluster check entries by these, so that nodes with different versions of Unicode agree.
 */
export function hasAddressForm(value: unknown): value is string {
  return isPlain(value) || (formFault(value) === undefined && !/\p{Cc}/u.test(value as string));
}

function isPlain(value: unknown): boolean {
  return typeof value === 'string' && PLAIN.test(value);
}

function formFault(value: unknown): string | undefined {
  if (typeof value !== 'string') return 'must be a string';
  if (value === '') return 'must not be empty';
  if (!value.isWellFormed()) return 'must be well-formed Unicode: it has a lone surrogate';
  // A code point has at most two UTF-16 units, so a very long text is refused without counting.
  if (value.length > 2 * MAX_CODE_POINTS || Array.from(value).length > MAX_CODE_POINTS) {
    return `must be at most ${MAX_CODE_POINTS} characters long`;
  }
  if (value.includes(EVERYTHING)) return 'must not contain "*"';
  if (value.startsWith('$')) return 'must not begin with "$", which is reserved for the system';
  return undefined;
}

function spellingFault(value: string): string | undefined {
  if (value.trim() !== value) return 'must not begin or end with white space';
  if (/[\p{Cc}\p{Cf}]/u.test(value)) return 'must not contain control or format characters';
  if (value.normalize('NFC') !== value) return 'must be in Unicode normalization form C (NFC)';
  return undefined;
}

/** The rule of an address. */
export const ADDRESS: Rule = {
  fault: addressFault,
  schema: { type: 'string', minLength: 1, maxLength: MAX_CODE_POINTS, pattern: PATTERN },
};
