/** @import { Sidebar } from './sidebar.js' */

import { element } from './dom.js';
import { isComposing } from './composer.js';

let wasKey = false;
addEventListener('keydown', () => (wasKey = true), true);
addEventListener('pointerdown', () => (wasKey = false), true);

/** Returns whether what the person did last was a key. */
export function isByKeyboard() {
  return wasKey;
}

/**
 * Has the keyboard lead everywhere: Ctrl and K (Cmd and K) to the search, the first tab stop to where one writes, and Escape out of a
 * conversation.
 *
 * @param {Sidebar} sidebar
 * @param {{ onWrite: () => void, onLeave: () => void }} events `onLeave`: the conversation is to be closed
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
    // A dialog is before all that is behind it.
    if (event.key !== 'Escape' || isComposing(event) || document.querySelector('dialog[open]') !== null)
      return;
    onLeave();
    sidebar.search();
  });
}
