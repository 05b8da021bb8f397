/** An element that scrolls, and the place to which it was last scrolled. */
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
   * Returns whether somebody has scrolled it since the last look, or since it was put somewhere. The scroll
   * event comes only with the next frame, and a message before it must not take the reader to the end.
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

  /**
   * Returns whether a row is in view: half of it, or enough of it to fill half of the view.
   *
   * @param {Element} row
   */
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

  /** Scrolls a row to this many pixels below the top of the view. @param {Element} row @param {number} top */
  put(row, top) {
    this.#box.scrollTop += this.topOf(row) - top;
    this.#top = this.#box.scrollTop;
  }
}
