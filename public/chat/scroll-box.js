/** An element that scrolls, and where it was put. */
export class ScrollBox {
  #box;
  /** The place at the last look. */
  #top;

  /** @param {HTMLElement} box */
  constructor(box) {
    this.#box = box;
    this.#top = box.scrollTop;
  }

  /** The height of the view, in pixels. */
  get height() {
    return this.#box.clientHeight;
  }

  /** How much there is above the view, in pixels. */
  get above() {
    return this.#box.scrollTop;
  }

  /** How much there is below the view, in pixels. */
  get below() {
    return this.#box.scrollHeight - this.#box.scrollTop - this.#box.clientHeight;
  }

  /**
   * Whether somebody has scrolled it since the last look, or since it was put somewhere. The event comes with the next
   * frame only: a message that comes before it must not take one to the end.
   */
  wasScrolled() {
    const is = this.#box.scrollTop !== this.#top;
    this.#top = this.#box.scrollTop;
    return is;
  }

  /** Returns how far a row is below the top of the view, in pixels. @param {Element} row */
  topOf(row) {
    return row.getBoundingClientRect().top - this.#box.getBoundingClientRect().top;
  }

  /** Whether a row is in view: half of it, or so much of it that it fills half of the view. @param {Element} row */
  shows(row) {
    const view = this.#box.getBoundingClientRect();
    const { top, bottom, height } = row.getBoundingClientRect();
    const seen = Math.min(bottom, view.bottom) - Math.max(top, view.top);
    return seen >= Math.min(height, view.height) / 2;
  }

  /** Shows the end. */
  toEnd() {
    this.#box.scrollTop = this.#box.scrollHeight;
    this.#top = this.#box.scrollTop;
  }

  /** Puts a row so many pixels below the top of the view. @param {Element} row @param {number} top */
  put(row, top) {
    this.#box.scrollTop += this.topOf(row) - top;
    this.#top = this.#box.scrollTop;
  }
}
