/** The outcome of a wait: `undefined` if what was waited for has come, else why it has not. */
type Outcome = { readonly error: unknown } | undefined;

/**
 * One of many who wait for the same promise. The promise cannot forget a waiter that has gone before it settles, so it only
 * knows this object, and not what waits.
 */
export class Waiter {
  #then: ((outcome: Outcome) => void) | undefined;

  /** @param then called when the promise settles, unless the waiter has gone */
  constructor(promise: Promise<unknown>, then: (outcome: Outcome) => void) {
    this.#then = then;
    promise.then(
      () => this.#then?.(undefined),
      (error: unknown) => this.#then?.({ error }),
    );
  }

  /** Waits no longer. Does nothing if the promise has settled. */
  leave(): void {
    this.#then = undefined;
  }
}
