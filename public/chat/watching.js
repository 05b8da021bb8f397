/** So long those who are watched stay the same at least: to watch others, the stream is opened again. */
const REST_MILLISECONDS = 3000;

/** Watches those who are worth it, though they change with each message. */
export class Watching {
  #watch;
  #isResting = false;
  #isWanted = false;

  /** @param {() => unknown} watch watches those who are worth it at this moment */
  constructor(watch) {
    this.#watch = watch;
  }

  /** They may be others: watches them, after a rest if it has only just done so. */
  look() {
    if (this.#isResting) this.#isWanted = true;
    else this.lookNow();
  }

  /** The person waits for it: watches them at once. */
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
