import { createParser } from 'eventsource-parser';
import { openConnection } from '../client/connection.js';
import { requestBytes } from './wire.js';

/** Finds the number of a message in its content. */
const NUMBER = /^(\d+) /;

/** A stream of an honest client, which checks that each message comes once and in the order of the ids. */
export class HonestStream {
  /** The first fault. @type {string | undefined} */
  fault;
  /** The numbers that came. @type {Set<number>} */
  numbers = new Set();
  /** Settles when new messages come to it. @type {Promise<void>} */
  live;
  #lastId = 0;
  #header = '';
  #inBody = false;
  #socket;
  #parser;

  /**
   * @param {number} port
   * @param {string} token
   * @param {string} recipient whose messages contain a number, a space and a filling
   */
  constructor(port, token, recipient) {
    /** @type {() => void} */
    let onLive = () => undefined;
    this.live = new Promise((resolve, reject) => {
      onLive = resolve;
      setTimeout(() => reject(new Error('a stream is not live after 30 s')), 30_000).unref();
    });
    this.#parser = createParser({
      onEvent: ({ event, data }) => {
        if (event === 'live') onLive();
        else if (event === 'bye') this.fault ??= `a stream was ended: ${data}`;
        else if (event === undefined) this.#take(data);
      },
    });
    this.#socket = openConnection(port, (bytes) => this.#read(bytes.toString('latin1')));
    this.#socket.write(requestBytes(`/stream?recipient=${recipient}`, { token }));
    this.#socket.on('error', (error) => (this.fault ??= `a stream failed: ${error.message}`));
    this.#socket.on('close', () => (this.fault ??= 'a stream was closed'));
  }

  /**
   * @param {readonly number[]} acknowledged the numbers published to its inbox
   * @returns {string | undefined} the fault, if there is one so far
   */
  complaint(acknowledged) {
    const missing = acknowledged.filter((number) => !this.numbers.has(number)).length;
    return (
      this.fault ?? (missing === 0 ? undefined : `a stream has not got ${missing} acknowledged messages`)
    );
  }

  /** @param {string} text */
  #read(text) {
    if (this.#inBody) {
      this.#parser.feed(text);
      return;
    }
    this.#header += text;
    const end = this.#header.indexOf('\r\n\r\n');
    if (end === -1) return;
    if (!this.#header.startsWith('HTTP/1.1 200 '))
      this.fault ??= `a stream was answered ${this.#header.slice(0, 200)}`;
    this.#inBody = true;
    this.#parser.feed(this.#header.slice(end + 4));
  }

  /** @param {string} data */
  #take(data) {
    /** @type {unknown} */
    const message = JSON.parse(data);
    const { id, content } = /** @type {{ id: number, content: string }} */ (message);
    const number = Number(NUMBER.exec(content)?.[1]);
    if (id <= this.#lastId) this.fault ??= `message ${id} came after ${this.#lastId}`;
    if (this.numbers.has(number)) this.fault ??= `message number ${number} came twice`;
    this.#lastId = id;
    this.numbers.add(number);
  }
}
