/**
 * The number of subscriptions for each recipient, in memory because it is looked up for each published message. The
 * subscriptions themselves are read from the log when they are needed.
 */
export class SubscriptionCounts {
  /** The number of all subscriptions. */
  total = 0;
  readonly #counts = new Map<string, number>();

  /** Adds subscriptions of a recipient. */
  add(recipient: string, count: number): void {
    this.total += count;
    this.#counts.set(recipient, (this.#counts.get(recipient) ?? 0) + count);
  }

  /** Removes one subscription of a recipient. Does nothing if there is none. */
  delete(recipient: string): void {
    const count = this.#counts.get(recipient);
    if (count === undefined) return;
    this.total--;
    if (count === 1) this.#counts.delete(recipient);
    else this.#counts.set(recipient, count - 1);
  }

  /** Returns whether a recipient has subscriptions. */
  has(recipient: string): boolean {
    return this.#counts.has(recipient);
  }
}
