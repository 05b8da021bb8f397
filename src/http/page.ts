import type { ServerResponse } from 'node:http';
import { sendJson } from './send-json.ts';

/** The longest page; `more` tells that there is another. */
export const PAGE_BYTES = 1024 * 1024;

/** The items of one answer, as JSON, within bounds. */
export class Page {
  readonly #limit: number;
  readonly #items: string[] = [];
  #bytes = 0;

  /** @param limit the most items */
  constructor(limit: number) {
    this.#limit = limit;
  }

  get isEmpty(): boolean {
    return this.#items.length === 0;
  }

  /** Adds an item. @returns `false` if there is no room for it; there always is for the first one */
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

  /** Answers with the items under a name, and with other facts beside them. */
  send(response: ServerResponse, name: string, facts: object): void {
    sendJson(response, `{"${name}":[${this.#items.join(',')}],${JSON.stringify(facts).slice(1)}`);
  }
}
