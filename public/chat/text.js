import { make } from './dom.js';

/**
 * A link as people write it; what ends a sentence is not part of it, nor are invisible characters, which could make it
 * look like another.
 */
const LINK = /https?:\/\/[^\s<>"'\p{Cf}]*[^\s<>"'.,;:!?)\]}\p{Cf}]/giu;

/** Longer texts are cut, until the reader wants all of it. */
const LONG = 2000;

/**
 * A message's content as nodes. Whatever it is, it is text; only http and https links become links.
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
  // The direction of each text is its own, and does not turn what stands around it.
  const text = make('p', { class: 'text', dir: 'auto' });
  fill(text, content, linked);
  return text;
}

/**
 * JSON over several lines, unless it is nested so deep that the lines would be mostly indentation.
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
  parent.append(...nodesOf(whole.slice(0, LONG).toWellFormed()), '… ', more);
}

/**
 * @param {string} text
 * @returns {(Node | string)[]}
 */
function linked(text) {
  /** @type {(Node | string)[]} */
  const parts = [];
  let end = 0;
  for (const { 0: address, index } of text.matchAll(LINK)) {
    if (!URL.canParse(address)) continue;
    parts.push(text.slice(end, index));
    // The page is no business of the one that is opened, nor is where one came from.
    parts.push(make('a', { href: address, target: '_blank', rel: 'noopener noreferrer' }, address));
    end = index + address.length;
  }
  parts.push(text.slice(end));
  return parts;
}
