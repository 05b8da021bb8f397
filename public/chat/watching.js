/** How long the watched people stay the same at least: to watch others, the stream is opened again. */
const REST_MILLISECONDS = 3000;

/**
 * The watching of the people whose presence matters. They change with each message, and the stream must not.
 */
export class Watching {
  #watch;
  #isResting = false;
  #isWanted = false;

  /** @param {() => unknown} watch watches the people who matter at this moment */
  constructor(watch) {
    this.#watch = watch;
  }

  /** Watches the people who matter now, after a rest if that was done just before. */
  look() {
    if (this.#isResting) this.#isWanted = true;
    else this.lookNow();
  }

  /** Watches them at once, because the person waits for it. */
  lookNow() {
    this.#isWanted = false;
    this.#watch();
    if (this.#isResting) return;
    this.#isResting = true;
    setTimeout(() => {
      this.#isResting = false;
      if (this.#isWanted) this.lookNow();
    }, REST_MILLISECONDS);
  }
}
