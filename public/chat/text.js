import { make } from './dom.js';
import { beginningOf, isFewEmoji } from './emoji.js';
import { blocksOf } from './markdown.js';

/** @import { Inline } from './inline.js' */
/** @import { Block, List } from './markdown.js' */

/** A longer text is cut, until the reader wants all of it. */
const LONG = 2000;

/** Each text has its own direction, which does not turn the text around it. */
const OWN_DIRECTION = { dir: 'auto' };

/**
 * Makes an element of a message's content. Any content is shown as text: with Markdown for code, lists,
 * quotes and emphasis, and with links to the web, but without HTML.
 *
 * @param {unknown} content any JSON value
 * @returns {HTMLElement}
 */
export function contentOf(content) {
  if (typeof content !== 'string') {
    const json = make('pre', { class: 'json', dir: 'ltr' });
    fill(json, indented(content), (text) => [text]);
    return json;
  }
  if (isFewEmoji(content)) return make('div', { class: 'text emoji' }, content);
  const text = make('div', { class: 'text' });
  fill(text, content, (part) => messageNodes(text, part));
  return text;
}

/**
 * Returns JSON over several lines, unless it is nested so deep that the lines would be mostly indentation.
 *
 * @param {unknown} value
 */
function indented(value) {
  const short = JSON.stringify(value);
  const long = JSON.stringify(value, undefined, 2);
  return long.length > 4 * short.length ? short : long;
}

/**
 * @param {HTMLElement} parent
 * @param {string} whole
 * @param {(text: string) => (Node | string)[]} nodesOf
 */
function fill(parent, whole, nodesOf) {
  if (whole.length <= LONG) {
    parent.append(...nodesOf(whole));
    return;
  }
  const more = make('button', { type: 'button', class: 'more' }, `Show all ${whole.length} characters`);
  more.addEventListener('click', () => parent.replaceChildren(...nodesOf(whole)));
  parent.append(...nodesOf(`${beginningOf(whole, LONG)}…`), ' ', more);
}

/**
 * Makes the nodes of a message. A message that is a single text gets no paragraph of its own.
 *
 * @param {HTMLElement} parent gets the direction of that text
 * @param {string} text
 * @returns {(Node | string)[]}
 */
function messageNodes(parent, text) {
  const blocks = blocksOf(text);
  const [first] = blocks;
  const isOneText = blocks.length === 1 && first?.type === 'text';
  if (isOneText) parent.setAttribute('dir', 'auto');
  else parent.removeAttribute('dir');
  return isOneText ? inlineNodes(first.content) : blocks.map((block) => blockNode(block, OWN_DIRECTION));
}

/**
 * @param {Block} block
 * @param {Record<string, string>} [attributes] none for a block inside another
 * @returns {Node}
 */
function blockNode(block, attributes = {}) {
  if (block.type === 'text') return make('p', attributes, ...inlineNodes(block.content));
  if (block.type === 'quote')
    return make('blockquote', attributes, ...block.blocks.map((inner) => blockNode(inner)));
  if (block.type === 'list') return listNode(block, attributes);
  const code = make('code', {}, block.text);
  // Long lines can be scrolled, with the keyboard too.
  const pre = make('pre', { class: 'code', dir: 'ltr', tabindex: '0' }, code);
  if (block.language !== '') pre.prepend(make('span', { class: 'language' }, block.language));
  return pre;
}

/** @param {List} list @param {Record<string, string>} attributes */
function listNode({ isOrdered, sign, items }, attributes) {
  const nodes = items.map(({ number, blocks: [first, ...others] }) =>
    make(
      'li',
      isOrdered ? { value: number } : {},
      ...(first?.type === 'text'
        ? inlineNodes(first.content)
        : first === undefined
          ? []
          : [blockNode(first)]),
      ...others.map((block) => blockNode(block)),
    ),
  );
  return isOrdered
    ? make('ol', { ...attributes, 'data-sign': sign }, ...nodes)
    : make('ul', attributes, ...nodes);
}

/**
 * @param {readonly Inline[]} parts
 * @returns {(Node | string)[]}
 */
function inlineNodes(parts) {
  return parts.map((part) => {
    if (typeof part === 'string') return part;
    if (part.type === 'code') return make('code', { dir: 'ltr' }, part.text);
    if (part.type === 'link') {
      // The opened page must not reach this one, nor learn where the reader came from.
      const attributes = { href: part.href, target: '_blank', rel: 'noopener noreferrer', dir: 'ltr' };
      return make('a', attributes, part.text);
    }
    return make(part.type, {}, ...inlineNodes(part.children));
  });
}
