/** Signed tokens (RFC 7515 §7.1) in text. Each function reads each character of the text at most a few times. */
import { decodeJwt, decodeProtectedHeader } from 'jose';

/** Three parts in base64url. The last may be empty. */
const THREE_PARTS = /^[\w-]+\.[\w-]+\.[\w-]*$/;

/** The characters of tokens. A run of them ends at any other character, so no character is in two runs. */
const RUN = /[\w.-]+/g;

/** The first part of a token is the JSON of an object in base64url, which begins with `{"`. */
const BEGINNING = 'eyJ';

/** Returns a text with `[token]` in place of each signed token. */
export function withoutTokens(text: string): string {
  return text.includes(BEGINNING) ? text.replaceAll(RUN, withoutTokensInRun) : text;
}

/** Returns whether a text has a signed token in it. */
export function hasToken(text: string): boolean {
  return withoutTokens(text) !== text;
}

/** Returns whether a text has the form of a token: a header and claims that are JSON objects, and a signature. */
export function isToken(text: string): boolean {
  if (!THREE_PARTS.test(text)) return false;
  try {
    decodeProtectedHeader(text);
    decodeJwt(text);
    return true;
  } catch {
    return false;
  }
}

/** Replaces the tokens in a run: three parts with dots between them, the last of which may be empty. */
function withoutTokensInRun(run: string): string {
  const parts = run.split('.');
  const kept: string[] = [];
  for (let index = 0; index < parts.length; index++) {
    const first = parts[index] ?? '';
    const begins = first.indexOf(BEGINNING);
    if (begins === -1 || parts[index + 1] === '' || index + 2 >= parts.length) {
      kept.push(first);
    } else {
      kept.push(`${first.slice(0, begins)}[token]`);
      index += 2;
    }
  }
  return kept.join('.');
}
