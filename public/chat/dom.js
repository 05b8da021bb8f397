import { firstLetter } from './emoji.js';

/**
 * Returns an element of the page by its id.
 *
 * @template {HTMLElement} Type
 * @param {string} id
 * @param {new () => Type} type
 * @returns {Type}
 */
export function element(id, type) {
  const found = document.getElementById(id);
  if (!(found instanceof type)) throw new TypeError(`the page has no ${type.name} #${id}`);
  return found;
}

/**
 * Makes an element. Text is text, never HTML.
 *
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, string>} [attributes]
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function make(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/**
 * Isolates a name in a sentence, so that it does not turn the words around it (UAX #9, FSI and PDI).
 *
 * @param {string} name
 */
export function isolated(name) {
  return `\u2068${name}\u2069`;
}

/**
 * Sets the text of an element. If it has that text already, nothing is laid out again.
 *
 * @param {Element} target
 * @param {string} text
 */
export function setText(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

/**
 * Hides an element, or shows it. If nothing changes, nothing is laid out again.
 *
 * @param {HTMLElement} target
 * @param {boolean} isHidden
 */
export function setHidden(target, isHidden) {
  if (target.hidden !== isHidden) target.hidden = isHidden;
}

/**
 * Gives an element these children, in this order. Children that it already has stay the same nodes, so focus,
 * selection and scroll position stay too.
 *
 * @param {Element} parent
 * @param {readonly string[]} keys tell the children apart
 * @param {(key: string) => HTMLElement} create makes the child of a new key
 */
export function arrange(parent, keys, create) {
  const present = new Map(
    [...parent.children].map((child) => [/** @type {HTMLElement} */ (child).dataset['key'], child]),
  );
  const wanted = new Set(keys);
  for (const [key, child] of present) if (key === undefined || !wanted.has(key)) child.remove();
  let next = parent.firstElementChild;
  for (const key of keys) {
    let child = present.get(key);
    if (child === undefined) {
      child = create(key);
      /** @type {HTMLElement} */ (child).dataset['key'] = key;
    }
    if (child === next) next = next.nextElementSibling;
    else parent.insertBefore(child, next);
  }
}

/**
 * Makes a round sign for a name: its first letter, in a colour of its own.
 *
 * @param {string} name
 */
export function avatar(name) {
  const sign = make(
    'span',
    { class: 'avatar', 'aria-hidden': 'true' },
    firstLetter(name.replace(/^room-/, '')) || '#',
  );
  let hue = 0;
  for (const letter of name) hue = (hue * 31 + (letter.codePointAt(0) ?? 0)) % 360;
  sign.style.setProperty('--hue', String(hue));
  return sign;
}
