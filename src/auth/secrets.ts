import { checkText } from '../clean-text.ts';

/** RFC 7518 §3.2: a key of HS256 is at least as long as its hash. */
const MIN_SECRET_BYTES = 32;

/** A rotation needs two secrets. A stranger's token is checked with each one. */
const MAX_SECRETS = 8;

/** More than `MAX_SECRETS` secrets need. It applies at the start as well, because it applies to later reads. */
export const MAX_FILE_BYTES = 64 * 1024;

/** A comment, or the first or last line of a PEM file, would be a secret that anybody can guess. */
const GUESSABLE = /^(#|-----)/;

/**
 * Returns the bytes of a secret.
 *
 * @throws {Error} with the rule that it breaks, as the end of the sentence "NAME …"; it does not repeat the secret
 */
export function secretOf(text: string): Uint8Array {
  if (/\p{Cc}/u.test(checkText(text)))
    throw new Error('must not have line breaks, zero bytes or other control characters');
  const secret = new TextEncoder().encode(text);
  if (secret.length >= MIN_SECRET_BYTES) return secret;
  throw new Error(
    `must have ${MIN_SECRET_BYTES} bytes or more (it has ${secret.length}): make one with "openssl rand -base64 32"`,
  );
}

/**
 * Returns the secrets of a file, one a line. A line break at the end of the file is ignored.
 *
 * Secrets are text, as in the variable, so that they can be moved from one to the other.
 *
 * @throws {Error} with the rule that the file breaks, as the end of the sentence "NAME names a file …"
 */
export function secretsIn(bytes: Uint8Array): readonly Uint8Array[] {
  if (bytes.length > MAX_FILE_BYTES) throw new Error(`that must have ${MAX_FILE_BYTES} bytes at most`);
  const text = decode(bytes).replace(/\r?\n$/, '');
  if (text === '') throw new Error('that must not be empty: put a secret of 32 bytes or more into it');
  const lines = text.split(/\r?\n/, MAX_SECRETS + 1);
  if (lines.length > MAX_SECRETS)
    throw new Error(`that must have at most ${MAX_SECRETS} lines, with one secret each`);
  return lines.map((line, index) => {
    const place = `whose line ${index + 1}`;
    if (line === '') throw new Error(`${place} must not be empty: remove it`);
    if (GUESSABLE.test(line)) throw new Error(`${place} must be a secret, not a comment or a line of PEM`);
    const first = lines.indexOf(line);
    if (first < index) throw new Error(`${place} must not repeat line ${first + 1}: remove one of them`);
    try {
      return secretOf(line);
    } catch (error) {
      throw new Error(`${place} ${(error as Error).message}`, { cause: error });
    }
  });
}

/** Decodes UTF-8 and keeps a byte order mark. */
function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    throw new Error('whose text must be UTF-8: make a secret with "openssl rand -base64 32"', {
      cause: error,
    });
  }
}
