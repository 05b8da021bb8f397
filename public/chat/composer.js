/** Typing is told at most this often. */
const TYPING_MILLISECONDS = 3000;

/** Where a message is written. */
export class Composer {
  #text;
  #told = 0;
  #to = '';
  /** What was begun, by whom it is for. @type {Map<string, string>} */
  #begun = new Map();

  /**
   * @param {HTMLFormElement} form
   * @param {HTMLTextAreaElement} text
   * @param {{ onSend: (text: string) => void, onTyping: () => void }} events
   */
  constructor(form, text, { onSend, onTyping }) {
    this.#text = text;
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      const said = text.value.trim();
      if (said === '') return;
      text.value = '';
      this.#told = 0;
      this.#fit();
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
      if (text.value === '' || Date.now() - this.#told < TYPING_MILLISECONDS) return;
      this.#told = Date.now();
      onTyping();
    });
  }

  /** Takes up what was begun for somebody; what was begun for another stays with that one. @param {string} to */
  turnTo(to) {
    if (to === this.#to) return;
    this.#begun.set(this.#to, this.#text.value);
    this.#to = to;
    this.#told = 0;
    this.#text.value = this.#begun.get(to) ?? '';
    this.#fit();
  }

  /** As high as its text, within what the style sheet allows. */
  #fit() {
    this.#text.style.height = 'auto';
    this.#text.style.height = `${this.#text.scrollHeight + 2}px`;
  }
}

/**
 * Whether a key belongs to an input method, such as the Enter that takes a word of it. Safari ends the composition
 * before the key comes, and leaves it the code 229 (UI Events §7.3.1).
 *
 * @param {KeyboardEvent} event
 */
export function isComposing(event) {
  // eslint-disable-next-line @typescript-eslint/no-deprecated -- nothing else tells it
  return event.isComposing || event.keyCode === 229;
}
