/** The longest timer that browsers have: a longer one fires at once. */
const MAX_TIMER_MILLISECONDS = 2 ** 31 - 1;

/** A timer for a moment that can be changed. */
export class Alarm {
  #onRing;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /** @param {() => void} onRing also called every few weeks before a moment that is far away */
  constructor(onRing) {
    this.#onRing = onRing;
  }

  /** @param {number} moment in milliseconds since the Unix epoch; `Infinity`: never */
  set(moment) {
    clearTimeout(this.#timer);
    const wait = Math.min(MAX_TIMER_MILLISECONDS, Math.max(0, moment - Date.now()));
    this.#timer = moment === Infinity ? undefined : setTimeout(this.#onRing, wait);
  }
}
