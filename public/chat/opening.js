import { listen } from '../client/environment.js';

const FIRST_MILLISECONDS = 1000;
const MAX_MILLISECONDS = 30_000;

/** Loads what a page shows first, until the service has given it. */
export class Opening {
  /** @type {() => void} */
  #wake = () => undefined;

  constructor() {
    listen('online', () => this.again());
  }

  /**
   * Tries until it succeeds, later after each failure.
   *
   * @param {() => Promise<void>} load
   * @param {(fault: unknown) => void | Promise<void>} onFault called after each failure; the next try waits for it
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

  /** Tries at once. Does nothing while it is trying, or has succeeded. */
  again() {
    this.#wake();
  }
}
