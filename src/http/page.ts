import type { ServerResponse } from 'node:http';
import { sendJson } from './send-json.ts';

/** The maximum size of a page. If there is another page, `more` is true. */
export const PAGE_BYTES = 1024 * 1024;

/** The items of one answer, as JSON, within bounds. */
export class Page {
  readonly #limit: number;
  readonly #items: string[] = [];
  #bytes = 0;

  /** @param limit the maximum number of items */
  constructor(limit: number) {
    this.#limit = limit;
  }

  get isEmpty(): boolean {
    return this.#items.length === 0;
  }

  /** Adds an item. @returns `false` if there is no room for it; the first one always fits */
  add(json: string): boolean {
    this.#bytes += Buffer.byteLength(json) + 1;
    const isFull = this.#bytes > PAGE_BYTES && this.#items.length > 0;
    if (isFull || this.#items.length === this.#limit) return false;
    this.#items.push(json);
    return true;
  }

  /** Reverses the order. */
  reverse(): void {
    this.#items.reverse();
  }

  /** Answers with the items under a name, and with other facts. */
  send(response: ServerResponse, name: string, facts: object): void {
    sendJson(response, `{"${name}":[${this.#items.join(',')}],${JSON.stringify(facts).slice(1)}`);
  }
}
