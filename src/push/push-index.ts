/**
 * Which recipients have subscriptions: looked at for each message that is published, so kept in memory. The
 * subscriptions themselves are read from the log when there is something to do.
 */
export class PushIndex {
  /** How many subscriptions there are. */
  size = 0;
  readonly #counts = new Map<string, number>();

  /** Adds subscriptions of a recipient. */
  add(recipient: string, count: number): void {
    this.size += count;
    this.#counts.set(recipient, (this.#counts.get(recipient) ?? 0) + count);
  }

  /** Takes one subscription of a recipient out. Nothing is done if there is none. */
  delete(recipient: string): void {
    const count = this.#counts.get(recipient);
    if (count === undefined) return;
    this.size--;
    if (count === 1) this.#counts.delete(recipient);
    else this.#counts.set(recipient, count - 1);
  }

  /** Whether a recipient has subscriptions. */
  has(recipient: string): boolean {
    return this.#counts.has(recipient);
  }
}
