/** The outcome of a wait: `undefined` if the promise was fulfilled, or the error if it was rejected. */
type Outcome = { readonly error: unknown } | undefined;

/**
 * One of many waiters for the same promise. The promise cannot forget a waiter that leaves before it settles, so it
 * refers only to this small object, which drops its callback.
 */
export class Waiter {
  #then: ((outcome: Outcome) => void) | undefined;

  /** @param then called when the promise settles, unless the waiter has left */
  constructor(promise: Promise<unknown>, then: (outcome: Outcome) => void) {
    this.#then = then;
    promise.then(
      () => this.#then?.(undefined),
      (error: unknown) => this.#then?.({ error }),
    );
  }

  /** Stops waiting. Does nothing if the promise has settled. */
  leave(): void {
    this.#then = undefined;
  }
}
