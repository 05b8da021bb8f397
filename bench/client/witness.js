import { createParser } from 'eventsource-parser';
import { Unchunked } from './chunks.js';
import { MARKS } from './template.js';

/** Reads a stream as a client does, and checks that each message comes once and in order. */
export class Witness {
  /** The number of messages that came. */
  messages = 0;
  /** The first fault. @type {string | undefined} */
  fault;
  /** @type {Map<string, number>} */
  #counts = new Map();
  #inOrder;
  #unchunk;
  #parser = createParser({ onEvent: ({ data }) => this.#take(data) });

  /**
   * @param {boolean} chunked whether the stream comes in chunks (RFC 9112 §7.1)
   * @param {boolean} inOrder whether the server promises an order
   */
  constructor(chunked, inOrder) {
    this.#unchunk = chunked ? new Unchunked() : undefined;
    this.#inOrder = inOrder;
  }

  /** Begins to count messages from 0 again. */
  reset() {
    this.messages = 0;
    this.#counts.clear();
  }

  /** @param {string} text of the stream, from the first byte after the header */
  read(text) {
    this.#parser.feed(this.#unchunk?.read(text) ?? text);
  }

  /** @param {string} data */
  #take(data) {
    for (const [, publisher = '', count = ''] of data.matchAll(MARKS)) {
      this.messages++;
      // A publisher sends one message after the other, so its messages have an order with any server.
      const before = this.#counts.get(publisher) ?? -1;
      if (Number(count) <= before && this.#inOrder) {
        this.fault ??= `message ${count} of publisher ${publisher} came after ${before}`;
      }
      this.#counts.set(publisher, Number(count));
    }
  }
}
