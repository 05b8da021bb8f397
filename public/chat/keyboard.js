/** @import { Sidebar } from './sidebar.js' */

import { element } from './dom.js';
import { isComposing } from './composer.js';

let wasKey = false;
addEventListener('keydown', () => (wasKey = true), true);
addEventListener('pointerdown', () => (wasKey = false), true);

/** Returns whether the person's last input was a key. */
export function isByKeyboard() {
  return wasKey;
}

/**
 * Makes everything reachable by keyboard: Ctrl and K (Cmd and K) lead to the search, the first tab stop to
 * the field for writing, and Escape out of a conversation.
 *
 * @param {Sidebar} sidebar
 * @param {{ onWrite: () => void, onLeave: () => void }} events `onLeave`: close the conversation
 */
export function useKeyboard(sidebar, { onWrite, onLeave }) {
  addEventListener('keydown', (event) => {
    if (
      event.key.toLowerCase() !== 'k' ||
      !(event.ctrlKey || event.metaKey) ||
      event.altKey ||
      event.shiftKey
    )
      return;
    event.preventDefault();
    sidebar.search();
  });
  element('skip', HTMLButtonElement).addEventListener('click', onWrite);
  element('conversation', HTMLElement).addEventListener('keydown', (event) => {
    // An open dialog comes before everything behind it.
    if (event.key !== 'Escape' || isComposing(event) || document.querySelector('dialog[open]') !== null)
      return;
    onLeave();
    sidebar.search();
  });
}
