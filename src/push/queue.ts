/** First in, first out. Taking from the front of an array of 100,000 would move the others each time. */
export class Queue<Item> {
  #items: Item[] = [];
  /** How many at the front of the array are taken already. */
  #taken = 0;

  /** How many there are. */
  get length(): number {
    return this.#items.length - this.#taken;
  }

  /** Puts an item at the end. */
  push(item: Item): void {
    this.#items.push(item);
  }

  /** Takes the first item; `undefined` if there is none. */
  shift(): Item | undefined {
    if (this.length === 0) return undefined;
    const item = this.#items[this.#taken++];
    if (this.#taken * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#taken);
      this.#taken = 0;
    }
    return item;
  }
}
