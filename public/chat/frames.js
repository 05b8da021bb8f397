import { make } from './dom.js';

/** @import { Frame } from '../client/stream.js' */

/** How many frames the page keeps. */
const MAX_FRAMES = 500;

const NEAR_END = 40;

const clock = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium' });
const encoder = new TextEncoder();

/** The frames of the stream as they come, a row for each, for people who debug. */
export class Frames {
  #box;
  #list;
  #filter;
  #pause;
  /** @type {{ text: string, row: HTMLElement }[]} */
  #rows = [];
  /** Frames that came during a pause. @type {Frame[]} */
  #held = [];

  /**
   * @param {{ box: HTMLElement, list: HTMLOListElement, filter: HTMLInputElement, pause: HTMLButtonElement,
   *   clear: HTMLButtonElement, copy: HTMLButtonElement }} parts
   */
  constructor({ box, list, filter, pause, clear, copy }) {
    this.#box = box;
    this.#list = list;
    this.#filter = filter;
    this.#pause = pause;
    filter.addEventListener('input', () => {
      for (const one of this.#rows) one.row.hidden = !this.#wants(one.text);
    });
    pause.addEventListener('click', () => this.#setPaused(!this.#isPaused));
    clear.addEventListener('click', () => {
      this.#rows = [];
      this.#held = [];
      list.replaceChildren();
      this.#tellHeld();
    });
    copy.addEventListener('click', () => {
      const shown = this.#rows.filter(({ row }) => !row.hidden).map(({ text }) => text);
      void copyText(shown.join('\n\n'), copy);
    });
  }

  /** Shows the newest frame. */
  toEnd() {
    this.#box.scrollTop = this.#box.scrollHeight;
  }

  /** @param {Frame} frame */
  add(frame) {
    if (this.#isPaused) {
      this.#held.push(frame);
      if (this.#held.length > MAX_FRAMES) this.#held.shift();
      this.#tellHeld();
      return;
    }
    const follows = this.#isShown && this.#isAtEnd;
    const text = asSent(frame);
    const row = rowOf(frame, text);
    row.hidden = !this.#wants(text);
    this.#rows.push({ text, row });
    this.#list.append(row);
    if (this.#rows.length > MAX_FRAMES) this.#rows.shift()?.row.remove();
    if (follows) this.toEnd();
  }

  /** Checked first: measuring lays out the whole page, in vain while this is hidden. */
  get #isShown() {
    return this.#box.closest('[hidden]') === null;
  }

  get #isAtEnd() {
    return this.#box.scrollHeight - this.#box.scrollTop - this.#box.clientHeight < NEAR_END;
  }

  get #isPaused() {
    return this.#pause.getAttribute('aria-pressed') === 'true';
  }

  /** @param {boolean} paused */
  #setPaused(paused) {
    this.#pause.setAttribute('aria-pressed', String(paused));
    if (!paused) for (const frame of this.#held.splice(0)) this.add(frame);
    this.#tellHeld();
  }

  #tellHeld() {
    this.#pause.textContent = this.#isPaused ? `Continue (${this.#held.length})` : 'Pause';
  }

  /** @param {string} text */
  #wants(text) {
    return text.toLocaleLowerCase().includes(this.#filter.value.trim().toLocaleLowerCase());
  }
}

/**
 * The usual text of a button that says something else for a while.
 *
 * @type {WeakMap<HTMLButtonElement, string>}
 */
const labels = new WeakMap();

/**
 * Copies a text, and says so on the button for a while.
 *
 * @param {string} text
 * @param {HTMLButtonElement} button
 */
export async function copyText(text, button) {
  const label = labels.get(button) ?? button.textContent;
  labels.set(button, label);
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = 'Copied';
  } catch {
    // Pages that are not served securely have no clipboard.
    button.textContent = 'Cannot copy here';
  }
  setTimeout(() => (button.textContent = label), 2000);
}

/** Returns a frame as it was in the stream. @param {Frame} frame */
function asSent({ event, id, data }) {
  const lines = [
    event === 'message' ? '' : `event: ${event}\n`,
    `data: ${data}`,
    id === '' ? '' : `\nid: ${id}`,
  ];
  return lines.join('');
}

/**
 * @param {Frame} frame
 * @param {string} text
 */
function rowOf({ event, id, data, at }, text) {
  /** @type {unknown} */
  const value = JSON.parse(data);
  return make(
    'li',
    { class: 'frame', 'data-event': event },
    make('span', { class: 'event' }, event),
    make('span', { class: 'id' }, id === '' ? '–' : id),
    make('span', { class: 'size' }, `${encoder.encode(text).length + 2} B`),
    make('time', {}, clock.format(at)),
    make('pre', { dir: 'ltr' }, JSON.stringify(value, undefined, 1).slice(0, 4000).toWellFormed()),
  );
}
