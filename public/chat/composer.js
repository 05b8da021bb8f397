/** @import { Drafts } from './drafts.js' */

/** The least time between two notes that the person is typing. */
const TYPING_MILLISECONDS = 3000;

/** The field for writing a message. */
export class Composer {
  #text;
  #told = 0;
  #to = '';
  #drafts;

  /**
   * @param {HTMLFormElement} form
   * @param {HTMLTextAreaElement} text
   * @param {Drafts} drafts
   * @param {{ onSend: (text: string) => void, onTyping: () => void }} events
   */
  constructor(form, text, drafts, { onSend, onTyping }) {
    this.#text = text;
    this.#drafts = drafts;
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      // The first line may be indented on purpose.
      const said = text.value.replace(/^(?:[^\S\n]*\n)+/, '').trimEnd();
      if (said === '') return;
      this.#told = 0;
      this.#put('');
      onSend(said);
      text.focus();
    });
    text.addEventListener('keydown', (event) => {
      if (event.key !== 'Enter' || event.shiftKey || isComposing(event)) return;
      event.preventDefault();
      form.requestSubmit();
    });
    text.addEventListener('input', () => {
      this.#fit();
      drafts.keep(this.#to, text.value);
      if (text.value === '' || Date.now() - this.#told < TYPING_MILLISECONDS) return;
      this.#told = Date.now();
      onTyping();
    });
  }

  /** Turns to the draft for another person. The draft for the one before is kept. @param {string} to */
  turnTo(to) {
    if (to === this.#to) return;
    this.#to = to;
    this.#told = 0;
    this.#put(this.#drafts.get(to));
  }

  /** Puts a text back into the field, before the draft. @param {string} text */
  edit(text) {
    const begun = this.#text.value;
    this.#put(begun === '' ? text : `${text}\n${begun}`);
    this.#text.focus();
  }

  /** @param {string} text */
  #put(text) {
    this.#text.value = text;
    this.#drafts.keep(this.#to, text);
    this.#fit();
  }

  /**
   * Makes the field as high as its text, within the limits of the style sheet. Most browsers do so themselves
   * (`field-sizing`).
   */
  #fit() {
    if (CSS.supports('field-sizing', 'content')) return;
    this.#text.style.height = 'auto';
    this.#text.style.height = `${this.#text.scrollHeight + 2}px`;
  }
}

/**
 * Returns whether a key belongs to an input method, such as the Enter that accepts a word. Safari ends the
 * composition before that key comes, and gives the key the code 229 (UI Events §7.3.1).
 *
 * @param {KeyboardEvent} event
 */
export function isComposing(event) {
  // eslint-disable-next-line @typescript-eslint/no-deprecated -- nothing else tells it
  return event.isComposing || event.keyCode === 229;
}
