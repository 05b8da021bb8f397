import { listen } from '../client/environment.js';

const FIRST_MILLISECONDS = 1000;
const MAX_MILLISECONDS = 30_000;

/** The first loading of the page, repeated until the service has answered. */
export class Opening {
  /** @type {() => void} */
  #wake = () => undefined;

  constructor() {
    listen('online', () => this.again());
  }

  /**
   * Tries until it succeeds, and waits longer after each failure.
   *
   * @param {() => Promise<void>} load
   * @param {(fault: unknown) => void | Promise<void>} onFault called after each failure; the next try waits
   *   for it
   */
  async run(load, onFault) {
    for (let wait = FIRST_MILLISECONDS; ; wait = Math.min(wait * 2, MAX_MILLISECONDS)) {
      try {
        await load();
        return;
      } catch (error) {
        await onFault(error);
        await new Promise((resolve) => {
          this.#wake = () => resolve(undefined);
          setTimeout(this.#wake, wait);
        });
      }
    }
  }

  /** Tries at once. Does nothing during a try, or after success. */
  again() {
    this.#wake();
  }
}
