/** The visible parts of a message at which to check whether it is seen. */
const THRESHOLDS = Array.from({ length: 21 }, (_, index) => index / 20);

/** The rows of a box that a person really has in view: in a window that is shown and has the focus. */
export class Sight {
  #box;
  #onSeen;
  #observer;
  /** The ids of the rows that are in view. @type {Set<number>} */
  #inView = new Set();
  #through = 0;

  /**
   * @param {HTMLElement} box the element that scrolls
   * @param {(id: number) => void} onSeen called with the greatest id (`data-id`) in view
   */
  constructor(box, onSeen) {
    this.#box = box;
    this.#onSeen = onSeen;
    this.#observer = new IntersectionObserver((entries) => this.#look(entries), {
      root: box,
      threshold: THRESHOLDS,
    });
    for (const name of ['focus', 'visibilitychange']) addEventListener(name, () => this.#tell(), true);
  }

  /** @template {HTMLElement} Row @param {Row} row @returns {Row} */
  observe(row) {
    this.#observer.observe(row);
    return row;
  }

  /** Stops watching a row that is taken away. @param {HTMLElement} row */
  unobserve(row) {
    this.#observer.unobserve(row);
    this.#inView.delete(Number(row.dataset['id']));
  }

  /** Stops watching all rows, which are taken away. */
  forget() {
    this.#observer.disconnect();
    this.#inView.clear();
    this.#through = 0;
  }

  /** The greatest id that the person saw or went past since all rows were taken away; 0 if there is none. */
  get through() {
    return this.#through;
  }

  /** Notes that the person went past the rows up to this id. @param {number} id */
  pass(id) {
    this.#through = Math.max(this.#through, id);
  }

  /** @param {IntersectionObserverEntry[]} entries */
  #look(entries) {
    for (const { target, isIntersecting, intersectionRatio, intersectionRect, rootBounds } of entries) {
      // This may be about a row that was taken away.
      if (!target.isConnected) continue;
      const id = Number(/** @type {HTMLElement} */ (target).dataset['id']);
      const half =
        intersectionRatio >= 0.5 || intersectionRect.height >= (rootBounds?.height ?? Infinity) / 2;
      if (isIntersecting && half) this.#inView.add(id);
      else this.#inView.delete(id);
    }
    this.#tell();
  }

  #tell() {
    const isHidden = document.visibilityState !== 'visible' || !document.hasFocus();
    if (isHidden || this.#box.closest('[inert]') !== null || this.#inView.size === 0) return;
    const id = Math.max(...this.#inView);
    this.pass(id);
    this.#onSeen(id);
  }
}
