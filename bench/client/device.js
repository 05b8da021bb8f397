import { BodyBytes } from './chunks.js';
import { openConnection } from './connection.js';
import { MARKS, Template } from './template.js';
import { Witness } from './witness.js';

/** The number of bytes at the end of a read in which the last message is looked for; its frame is shorter. */
const TAIL = 600;

/**
 * @typedef {object} Opening
 * @property {number} port
 * @property {string} text the request
 * @property {string} live a text in a stream after which new messages come
 * @property {boolean} chunked whether streams come in chunks
 * @property {boolean} inOrder whether the server promises an order
 * @property {boolean} own whether each device has its own inbox
 */

/**
 * The texts that a device looks for, and the functions that it calls.
 *
 * @typedef {object} Watch
 * @property {Buffer} last a text in the last message of a run
 * @property {boolean} timing whether to look for stamps
 * @property {(bytes: Buffer) => void} onBytes called if stamps are looked for
 * @property {() => void} onSeen the last message has come
 * @property {(why: string) => void} onFailed
 */

/** One open stream. It counts bytes, and looks only for the end of the run. */
export class Device {
  /** Bytes of the stream since `reset`, without the headers of chunks. */
  bytes = 0;
  /** Messages since `reset`, if each device has its own inbox. */
  messages = 0;
  /** Reads the whole stream, on the first device. @type {Witness | undefined} */
  witness;
  #watch;
  #body;
  #counted;
  #socket;
  #seen = false;
  #ended = false;
  #header = '';
  #live;
  /** @type {() => void} */
  #onLive = () => undefined;
  /** The text after the last counted mark: the network may have cut a mark. */
  #rest = '';

  /**
   * @param {Opening} opening
   * @param {number} index of the device
   * @param {Watch} watch
   */
  constructor({ port, text, live, own, chunked, inOrder }, index, watch) {
    const template = new Template(text);
    template.address(() => index);
    this.#watch = watch;
    this.#live = live;
    this.#counted = own;
    if (chunked) this.#body = new BodyBytes();
    if (index === 0) this.witness = new Witness(chunked, inOrder);
    this.#socket = openConnection(port, (bytes) => this.#take(bytes));
    this.#socket.write(template.bytes);
    this.#socket.on('error', (error) => watch.onFailed(`stream ${index} failed: ${error.message}`));
    this.#socket.on('close', () => {
      if (!this.#ended) watch.onFailed(`stream ${index} was closed by the server`);
    });
  }

  /** Settles when new messages come to it. */
  live() {
    return new Promise((resolve) => {
      this.#onLive = () => resolve(undefined);
    });
  }

  /** Forgets everything that has come so far. */
  reset() {
    this.bytes = 0;
    this.messages = 0;
    this.#seen = false;
    this.witness?.reset();
  }

  end() {
    this.#ended = true;
    this.#socket.destroy();
  }

  /** @param {Buffer} bytes */
  #take(bytes) {
    const { length } = bytes;
    if (this.#live !== '') {
      this.#open(bytes.toString('latin1'));
      return;
    }
    this.bytes += this.#body === undefined ? length : this.#body.count(bytes);
    if (this.witness !== undefined) this.witness.read(bytes.toString('latin1'));
    else if (this.#counted) this.#count(bytes.toString('latin1'));
    if (this.#watch.timing) this.#watch.onBytes(bytes);
    if (this.#seen) return;
    if (!(length > TAIL ? bytes.subarray(length - TAIL) : bytes).includes(this.#watch.last)) return;
    this.#seen = true;
    this.#watch.onSeen();
  }

  /** @param {string} text */
  #open(text) {
    this.#header += text;
    const end = this.#header.indexOf('\r\n\r\n');
    if (end === -1) return;
    if (!this.#header.startsWith('HTTP/1.1 200 ')) {
      this.#watch.onFailed(`a stream was answered ${this.#header.slice(0, 200)}`);
    }
    if (!this.#header.includes(this.#live)) return;
    const body = this.#header.slice(end + 4);
    this.#body?.count(Buffer.from(body, 'latin1'));
    this.witness?.read(body);
    this.#live = '';
    this.#header = '';
    this.#onLive();
  }

  /** @param {string} text */
  #count(text) {
    const all = this.#rest + text;
    let end = 0;
    for (const mark of all.matchAll(MARKS)) {
      this.messages++;
      end = mark.index + mark[0].length;
    }
    this.#rest = all.slice(Math.max(end, all.length - 15));
  }
}
