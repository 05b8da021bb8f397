import { inlineOf } from './inline.js';

/** @import { Inline } from './inline.js' */

/** A part of a message. @typedef {Text | CodeBlock | Quote | List} Block */
/** Lines of text. @typedef {{ type: 'text', content: Inline[] }} Text */
/** @typedef {{ type: 'code', text: string, language: string }} CodeBlock */
/** @typedef {{ type: 'quote', blocks: Block[] }} Quote */
/** @typedef {{ type: 'list', isOrdered: boolean, sign: string, items: Item[] }} List */
/** `number` is empty in a list without numbers. @typedef {{ number: string, blocks: Block[] }} Item */

/** Beyond this depth, quotes and lists within each other are text. */
const MAX_DEPTH = 6;

/** How much further than the item its other lines are indented. */
const ITEM_INDENT = 2;

/** Signs of markup. Most messages have none, and are not read any further. */
const MARKUP = /[`*_~]|https?:\/\/|www\.|^ {0,3}(?:>|-[ \t]|\d{1,3}[.)][ \t])/im;

const FENCE = /^( {0,3})(`{3,}(?=[^`]*$)|~{3,}(?=[^~]*$))(.*)$/;
const LANGUAGE = /^[\w+#.-]*$/;
/**
 * A line of a quote; the first one has text. A space follows the sign, which otherwise may be a face or mean
 * "more than".
 */
const QUOTE = /^ {0,3}>(?: |\s*$|(?=>))/;
const FIRST_OF_QUOTE = /^ {0,3}>(?=[ >])[ >]*[^\s>]/;
/**
 * A sign, or a number that the page would write in the same way, unless more signs follow: those draw a line.
 */
const ITEM = /^( {0,3})([-*]|(?:0|[1-9]\d{0,2})[.)])[ \t]+(?![-*\s]*$)/;

/**
 * Reads a message: code, quotes, lists, emphasis and links. Everything else stays as it was written.
 *
 * It follows CommonMark, except for rules that would take or change text in a chat: a line after a quote or a
 * list is not part of it, `+` is not the sign of a list, and more than three digits do not begin one.
 *
 * @param {string} text
 * @returns {Block[]}
 */
export function blocksOf(text) {
  return MARKUP.test(text) ? read(text.split('\n'), 0) : [{ type: 'text', content: [text] }];
}

/**
 * @param {readonly string[]} lines
 * @param {number} depth
 * @returns {Block[]}
 */
function read(lines, depth) {
  /** @type {Block[]} */
  const blocks = [];
  let textStart = 0;
  let index = 0;
  while (index < lines.length) {
    const found = blockAt(lines, index, depth);
    if (found === undefined) {
      index++;
      continue;
    }
    blocks.push(...textBetween(lines, textStart, index), found.block);
    index = textStart = found.end;
  }
  blocks.push(...textBetween(lines, textStart, lines.length));
  return blocks;
}

/**
 * @param {readonly string[]} lines
 * @param {number} start
 * @param {number} end
 * @returns {Text[]} none if there is no line in between
 */
function textBetween(lines, start, end) {
  // An empty line beside a block is only the space around it.
  if (start > 0 && start < end && isEmpty(lines[start])) start++;
  if (end < lines.length && end > start && isEmpty(lines[end - 1])) end--;
  return start === end ? [] : [{ type: 'text', content: inlineOf(lines.slice(start, end).join('\n')) }];
}

/** @typedef {{ block: Block, end: number }} Found */

/**
 * @param {readonly string[]} lines
 * @param {number} start
 * @param {number} depth
 * @returns {Found | undefined}
 */
function blockAt(lines, start, depth) {
  const line = lines[start] ?? '';
  if (FENCE.test(line)) return codeAt(lines, start);
  if (depth === MAX_DEPTH) return undefined;
  if (FIRST_OF_QUOTE.test(line)) return quoteAt(lines, start, depth);
  return ITEM.test(line) ? listAt(lines, start, depth) : undefined;
}

/**
 * Reads code up to its closing fence, or to the end.
 *
 * @param {readonly string[]} lines
 * @param {number} start
 * @returns {Found | undefined} `undefined` if it has only empty lines
 */
function codeAt(lines, start) {
  const [, indent = '', fence = '', info = ''] = FENCE.exec(lines[start] ?? '') ?? [];
  const language = info.trim();
  const isLanguage = LANGUAGE.test(language);
  const code = isLanguage ? [] : [info];
  let end = start + 1;
  /** @type {string | undefined} */
  let last;
  for (; end < lines.length && last === undefined; end++) {
    const line = lines[end] ?? '';
    last = beforeClosing(line, fence);
    const text = withoutIndent(last ?? line, indent.length);
    if (last === undefined || !isEmpty(last)) code.push(text);
  }
  if (code.every(isEmpty)) return undefined;
  return { block: { type: 'code', text: code.join('\n'), language: isLanguage ? language : '' }, end };
}

/**
 * Returns the code before a closing fence. People also write the fence at the end of the last line.
 *
 * @param {string} line
 * @param {string} fence the one that opened the code
 * @returns {string | undefined} `undefined` if the line does not close it
 */
function beforeClosing(line, fence) {
  const trimmed = line.trimEnd();
  let end = trimmed.length;
  while (end > 0 && trimmed[end - 1] === fence[0]) end--;
  if (trimmed.length - end < fence.length) return undefined;
  const before = trimmed.slice(0, end);
  return isEmpty(before) || !before.includes(fence[0] ?? '') ? before : undefined;
}

/**
 * @param {readonly string[]} lines
 * @param {number} start
 * @param {number} depth
 * @returns {Found}
 */
function quoteAt(lines, start, depth) {
  let end = start;
  while (QUOTE.test(lines[end] ?? '')) end++;
  const quoted = lines.slice(start, end).map((line) => line.replace(QUOTE, ''));
  return { block: { type: 'quote', blocks: read(quoted, depth + 1) }, end };
}

/**
 * Reads the items with the same sign, and the indented lines below each.
 *
 * @param {readonly string[]} lines
 * @param {number} start
 * @param {number} depth
 * @returns {Found}
 */
function listAt(lines, start, depth) {
  /** @type {Item[]} */
  const items = [];
  let end = start;
  let sign = '';
  for (;;) {
    const next = indexOfText(lines, end);
    const line = lines[next] ?? '';
    const [head, indent = '', mark = ''] = ITEM.exec(line) ?? [];
    if (head === undefined || (sign !== '' && mark.at(-1) !== sign)) break;
    sign = mark.at(-1) ?? '';
    end = endOfItem(lines, next, indent.length + ITEM_INDENT);
    const below = lines.slice(next + 1, end).map((one) => withoutIndent(one, head.length));
    items.push({ number: mark.slice(0, -1), blocks: read([line.slice(head.length), ...below], depth + 1) });
  }
  return { block: { type: 'list', isOrdered: sign !== '-' && sign !== '*', sign, items }, end };
}

/**
 * @param {readonly string[]} lines
 * @param {number} start
 * @param {number} indent
 * @returns {number} the index after the last line of the item that begins here
 */
function endOfItem(lines, start, indent) {
  let end = start + 1;
  for (;;) {
    const next = indexOfText(lines, end);
    if (next >= lines.length || !isIndented(lines[next] ?? '', indent)) return end;
    end = next + 1;
  }
}

/** @param {readonly string[]} lines @param {number} index */
function indexOfText(lines, index) {
  while (index < lines.length && isEmpty(lines[index])) index++;
  return index;
}

/** @param {string | undefined} line */
function isEmpty(line) {
  return line === undefined || line.trim() === '';
}

/** @param {string} line @param {number} indent */
function isIndented(line, indent) {
  return line.startsWith('\t') || line.startsWith(' '.repeat(indent));
}

/**
 * Removes at most this much of a line's indentation; a tab counts as all of it.
 *
 * @param {string} line
 * @param {number} indent
 */
function withoutIndent(line, indent) {
  if (indent === 0) return line;
  if (line.startsWith('\t')) return line.slice(1);
  return line.slice(Math.min(indent, line.length - line.trimStart().length));
}
