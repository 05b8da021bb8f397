import { addressAt } from './links.js';

/** A part of a text. @typedef {string | Code | Link | Emphasis} Inline */
/** @typedef {{ type: 'code', text: string }} Code */
/** @typedef {{ type: 'link', text: string, href: string }} Link */
/** @typedef {{ type: 'strong' | 'em' | 'del', children: Inline[] }} Emphasis */

/** Beyond this depth, emphasis within emphasis is text. */
const MAX_DEPTH = 8;

/** How many markers in a row emphasise. A longer row draws a line. */
const MARKER_COUNTS = [1, 2, 3];

/** Signs that may be markup. A backslash before a sign makes it text, and stays in the text. */
const SPECIAL = /\\[\\`*_~]|`+|\*+|_+|~+|https?:\/\/|www\./giu;

/** A character that emphasised text must have. */
const WORD = /[\p{L}\p{N}\p{Extended_Pictographic}]/u;

/** Scripts without spaces, or with endings appended to names: emphasis may begin or end inside a word. */
const UNSPACED =
  '\\p{scx=Han}\\p{scx=Hiragana}\\p{scx=Katakana}\\p{sc=Hangul}\\p{sc=Thai}\\p{sc=Lao}\\p{sc=Khmer}\\p{sc=Myanmar}';
/** Characters that belong to an emoji, but have the category of marks. */
const EMOJI_JOINTS = '\\u200d\\p{Variation_Selector}';

/** A marker beside one of these is part of a product, a name, a path, a pattern of files or a program. */
const GLUE = '\\p{L}\\p{N}\\p{M}/\\\\=$&%#@+|^<';

/** The places at which each marker opens and closes emphasis. A `_` inside a word is part of a name. */
const BOUNDS = {
  '*': boundsOf(`${UNSPACED}${EMOJI_JOINTS}`, { next: '[^\\s)\\]},;]', previous: '[^\\s(\\[{/\\\\]' }),
  // Faces such as -_- and >_> have other signs inside.
  _: boundsOf(EMOJI_JOINTS, {
    next: '[\\p{L}\\p{N}\\p{So}\\p{Ps}\\p{Pi}"\'*~@#$¿¡]',
    previous: '[\\p{L}\\p{N}\\p{M}\\p{So}\\p{Pe}\\p{Pf}"\'*~%!?.,:;…]',
  }),
};

/** Text whose markers may still turn into something. @typedef {{ text: string }} Pending */

/**
 * Markers that may open emphasis.
 *
 * @typedef {object} Opener
 * @property {string} marker
 * @property {number} left how many of the markers are unused
 * @property {Pending} text
 * @property {number} at the index in the parts read so far at which the inside begins
 * @property {number} end the index in the text after the markers
 * @property {number} depth the depth of the emphasis inside
 */

/**
 * Reads the code, the links and the emphasis in a text. Everything else stays text. Whatever the text is, the
 * time is proportional to its length, and no emphasis is deeper than `MAX_DEPTH`.
 *
 * @param {string} text
 * @returns {Inline[]} no two strings in a row
 */
export function inlineOf(text) {
  // No markup reaches across an empty line.
  return joined(text.split(/(\n[^\S\n]*\n)/).flatMap((part) => new Reader(part).read()));
}

class Reader {
  #text;
  /** @type {(Exclude<Inline, string> | Pending)[]} */
  #read = [];
  /** @type {Opener[]} */
  #openers = [];
  /** The number of openers by marker. @type {Map<string, number>} */
  #counts = new Map();
  /** The lengths of rows of backticks that do not come again. @type {Set<number>} */
  #unclosed = new Set();
  #lastWord = -1;

  /** @param {string} text */
  constructor(text) {
    this.#text = text;
  }

  read() {
    let end = 0;
    SPECIAL.lastIndex = 0;
    for (;;) {
      const found = SPECIAL.exec(this.#text);
      this.#addText(this.#text.slice(end, found?.index));
      if (found === null) return finished(this.#read);
      const [special] = found;
      if (found.index > end && WORD.test(this.#text.slice(end, found.index))) this.#lastWord = found.index;
      end = this.#takeSpecial(special, found.index);
      SPECIAL.lastIndex = end;
    }
  }

  /**
   * @param {string} special
   * @param {number} start
   * @returns {number} the index after it
   */
  #takeSpecial(special, start) {
    const marker = special[0] ?? '';
    if (marker === '`') return this.#takeCode(special, start);
    if (marker === '*' || marker === '_') return this.#takeMarkers(special, start, BOUNDS[marker]);
    if (marker === '~') return this.#takeMarkers(special, start, BOUNDS['*']);
    if (marker === '\\') return this.#takeText(start, start + special.length);
    const address = addressAt(this.#text, start);
    if (address === undefined) return this.#takeWord(start, start + special.length);
    const { end, href } = address;
    if (href === undefined) return this.#takeWord(start, end);
    this.#read.push({ type: 'link', text: this.#text.slice(start, end), href });
    this.#lastWord = end;
    return end;
  }

  /** @param {string} fence @param {number} start @returns {number} */
  #takeCode(fence, start) {
    const from = start + fence.length;
    const close = this.#unclosed.has(fence.length) ? undefined : this.#find(fence, from);
    if (close === undefined) {
      this.#unclosed.add(fence.length);
      return this.#takeText(start, from);
    }
    const code = this.#text.slice(from, close);
    // Code that begins or ends with a backtick is written with spaces around it (CommonMark §6.1).
    const isPadded = code.startsWith(' ') && code.endsWith(' ') && code.trim() !== '';
    this.#read.push({ type: 'code', text: isPadded ? code.slice(1, -1) : code });
    this.#lastWord = close;
    return close + fence.length;
  }

  /** Finds the next row of exactly this many backticks. @param {string} fence @param {number} from */
  #find(fence, from) {
    const row = /`+/g;
    row.lastIndex = from;
    for (let found = row.exec(this.#text); found !== null; found = row.exec(this.#text))
      if (found[0].length === fence.length) return found.index;
    return undefined;
  }

  /**
   * @param {string} markers a row of the same marker
   * @param {number} start
   * @param {Bounds} bounds
   * @returns {number}
   */
  #takeMarkers(markers, start, { opens, closes }) {
    const end = start + markers.length;
    const marker = markers[0] ?? '';
    const isEmphasis = marker === '~' ? markers.length === 2 : MARKER_COUNTS.includes(markers.length);
    let left = markers.length;
    if (isEmphasis && isAt(closes.before, this.#text, start) && isAt(closes.after, this.#text, end))
      left = this.#close(marker, left);
    if (left === 0) return end;
    const text = { text: marker.repeat(left) };
    this.#read.push(text);
    if (isEmphasis && isAt(opens.before, this.#text, start) && isAt(opens.after, this.#text, end)) {
      const opener = { marker, left, text, at: this.#read.length, end, depth: 0 };
      this.#openers.push(opener);
      this.#count(opener, 1);
    }
    return end;
  }

  /**
   * Closes as much emphasis as these markers can.
   *
   * @param {string} marker
   * @param {number} left how many of them
   * @returns {number} how many are left
   */
  #close(marker, left) {
    while (left > 0 && this.#hasOpenerFor(marker, left)) {
      const opener = /** @type {Opener} */ (this.#openers.at(-1));
      if (opener.marker !== marker || !isPair(opener.left, left)) {
        // It was never closed, so it is text.
        this.#dropOpener();
        continue;
      }
      if (opener.depth >= MAX_DEPTH || this.#lastWord < opener.end) {
        this.#dropOpener();
        return left;
      }
      const used = Math.min(left, opener.left, 2);
      const children = finished(this.#read.splice(opener.at));
      this.#read.push({ type: marker === '~' ? 'del' : used === 2 ? 'strong' : 'em', children });
      left -= used;
      this.#count(opener, -1);
      opener.left -= used;
      this.#count(opener, 1);
      opener.text.text = marker.repeat(opener.left);
      opener.depth++;
      if (opener.left === 0) this.#dropOpener();
    }
    return left;
  }

  /** @param {string} marker @param {number} left */
  #hasOpenerFor(marker, left) {
    return MARKER_COUNTS.some(
      (count) => isPair(count, left) && (this.#counts.get(marker.repeat(count)) ?? 0) > 0,
    );
  }

  #dropOpener() {
    const dropped = this.#openers.pop();
    if (dropped === undefined) return;
    this.#count(dropped, -1);
    const outer = this.#openers.at(-1);
    if (outer !== undefined) outer.depth = Math.max(outer.depth, dropped.depth);
  }

  /** @param {Opener} opener @param {1 | -1} change */
  #count({ marker, left }, change) {
    const markers = marker.repeat(left);
    this.#counts.set(markers, (this.#counts.get(markers) ?? 0) + change);
  }

  /** @param {number} start @param {number} end */
  #takeWord(start, end) {
    this.#lastWord = end;
    return this.#takeText(start, end);
  }

  /** @param {number} start @param {number} end */
  #takeText(start, end) {
    this.#addText(this.#text.slice(start, end));
    return end;
  }

  /** @param {string} text */
  #addText(text) {
    if (text !== '') this.#read.push({ text });
  }
}

/** Returns whether markers can be closed: three are one and two. @param {number} opening @param {number} closing */
function isPair(opening, closing) {
  return opening === closing || Math.max(opening, closing) === 3;
}

/** @param {readonly (Exclude<Inline, string> | Pending)[]} read */
function finished(read) {
  return joined(read.map((part) => ('type' in part ? part : part.text)));
}

/**
 * Joins strings in a row into one.
 *
 * @param {readonly Inline[]} parts
 * @returns {Inline[]}
 */
function joined(parts) {
  /** @type {Inline[]} */
  const result = [];
  let text = '';
  for (const part of parts) {
    if (typeof part === 'string') {
      text += part;
      continue;
    }
    if (text !== '') result.push(text);
    text = '';
    result.push(part);
  }
  if (text !== '') result.push(text);
  return result;
}

/** @typedef {{ opens: Sides, closes: Sides }} Bounds */
/** The text before and after markers. @typedef {{ before: RegExp, after: RegExp }} Sides */

/**
 * Returns where markers may open and close emphasis.
 *
 * @param {string} free the characters that are not glue, as the inside of a character class
 * @param {{ next: string, previous: string }} inside the first and the last character of the emphasised text
 * @returns {Bounds}
 */
function boundsOf(free, { next, previous }) {
  return {
    opens: {
      before: new RegExp(`(?<!(?![${free}])[${GLUE}.])`, 'uy'),
      after: new RegExp(`(?=${next})`, 'uy'),
    },
    closes: {
      before: new RegExp(`(?<=${previous})`, 'uy'),
      after: new RegExp(`(?!(?![${free}])(?:[${GLUE}(]|\\.[\\p{L}\\p{N}]))`, 'uy'),
    },
  };
}

/** @param {RegExp} place @param {string} text @param {number} index */
function isAt(place, text, index) {
  place.lastIndex = index;
  return place.test(text);
}
