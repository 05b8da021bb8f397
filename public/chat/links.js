/**
 * The characters of an address, besides brackets. It has no white space, no quotation marks, no invisible
 * characters (which could make it look like another address), and no punctuation of scripts without spaces,
 * which begins the next sentence.
 */
const PART =
  /[^()[\]{}\s<>"`\\“”‘’«»„‚…\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Default_Ignorable_Code_Point}\u2800\u3001-\u303f\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65]*/uy;

/** Inside a word. An address without `https://` begins a word, if the script has spaces between words. */
const INSIDE_WORD = /(?<=(?![\p{scx=Han}\p{scx=Hiragana}\p{scx=Katakana}])[\p{L}\p{M}\p{N}_./@-])/uy;

/** A host with at least two labels after `www.`. */
const WWW = /^www\.[^./?#]+\.[^./?#]/i;

/** Characters at the end that belong to the sentence or mark its words, not to the address. */
const TRAILING = /[.,:;!?'*_~|([{]/;

/** The end of an address that was cut: without the rest it would lead elsewhere. */
const CUT = /[.,:;!?'*_~|([{]*…/y;

const OPENING = '([{';
const CLOSING = ')]}';

/**
 * Reads the web address that begins at a place in a text, if one does. What follows it in the sentence is not
 * part of it; a closing bracket is, if it was opened in the address.
 *
 * @param {string} text
 * @param {number} start
 * @returns {{ end: number, href: string | undefined } | undefined} `href` is `undefined` if it only looks
 *   like an address; the text up to `end` then has none
 */
export function addressAt(text, start) {
  const isShort = text[start] === 'w' || text[start] === 'W';
  INSIDE_WORD.lastIndex = start;
  if (isShort && INSIDE_WORD.test(text)) return undefined;
  const end = endOfAddress(text, start);
  const address = text.slice(start, end);
  CUT.lastIndex = end;
  if (CUT.test(text) || (isShort && !WWW.test(address))) return { end, href: undefined };
  const href = isShort ? `https://${address}` : address;
  return { end, href: isPlain(href) ? href : undefined };
}

/**
 * Returns the end of an address. Reads no further than that, so a text full of addresses is read only once.
 *
 * @param {string} text
 * @param {number} start
 * @returns {number}
 */
function endOfAddress(text, start) {
  /** The number of open brackets of each kind. */
  const open = [0, 0, 0];
  let end = start;
  for (;;) {
    PART.lastIndex = end;
    end += PART.exec(text)?.[0].length ?? 0;
    const bracket = text[end];
    if (bracket === undefined) break;
    const isOpening = OPENING.includes(bracket);
    const kind = (isOpening ? OPENING : CLOSING).indexOf(bracket);
    const count = open[kind] ?? 0;
    if (!isOpening && count === 0) break;
    open[kind] = isOpening ? count + 1 : count - 1;
    end++;
  }
  while (TRAILING.test(text[end - 1] ?? '')) end--;
  return end;
}

/**
 * Returns whether an address can be opened, and names no user, who would look like the host.
 *
 * @param {string} href
 */
function isPlain(href) {
  if (!URL.canParse(href)) return false;
  const { hostname, username, password } = new URL(href);
  return hostname !== '' && username === '' && password === '';
}
