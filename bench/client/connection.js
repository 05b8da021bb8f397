import { once } from 'node:events';
import { connect } from 'node:net';
import { Refused } from './remote.js';

/** All connections of a process read into this buffer: its bytes are used before the next read. */
const buffer = Buffer.allocUnsafeSlow(256 * 1024);

/**
 * Opens a connection that costs next to nothing: it has no stream in between, and no memory for incoming bytes.
 *
 * @param {number} port
 * @param {(bytes: Buffer) => void} take gets the incoming bytes, which are valid until it returns
 */
export function openConnection(port, take) {
  return connect({
    port,
    host: '127.0.0.1',
    noDelay: true,
    onread: {
      buffer,
      callback: (length) => {
        take(buffer.subarray(0, length));
        return true;
      },
    },
  });
}

/** A connection for requests, one at a time. It is opened again if the server has closed it in between. */
export class RequestConnection {
  #port;
  #socket;
  /** @type {((error?: Error) => void) | undefined} */
  #settle;
  #header = '';
  /**
   * The number of bytes of the body that are still to come; undefined until the header is complete.
   *
   * @type {number | undefined}
   */
  #left;
  /** Settles when the server can be reached. @type {Promise<unknown>} */
  opened;

  /** @param {number} port */
  constructor(port) {
    this.#port = port;
    this.#socket = this.#connect();
    this.opened = once(this.#socket, 'connect');
  }

  /** Whether an answer is awaited. */
  get busy() {
    return this.#settle !== undefined;
  }

  /**
   * @param {Buffer} bytes of a request
   * @param {(error?: Error) => void} settle called when the answer has come, with an error if that is not a success
   */
  send(bytes, settle) {
    // Servers close an idle connection; some send something first that answers no request.
    if (!this.#socket.writable) this.#socket = this.#connect();
    this.#settle = settle;
    this.#socket.write(bytes);
  }

  close() {
    this.#settle = undefined;
    this.#socket.destroy();
  }

  #connect() {
    const socket = openConnection(this.#port, (bytes) => {
      if (this.#settle !== undefined) this.#take(bytes);
    });
    /** @param {string} why */
    const fail = (why) => {
      // Its successor may have been sent a request already.
      if (this.#socket === socket) this.#settle?.(new Refused(why));
    };
    socket.on('error', (error) => fail(`a connection failed: ${error.message}`));
    socket.on('close', () => fail('the server closed a connection'));
    return socket;
  }

  /** @param {Buffer} bytes */
  #take(bytes) {
    let length = bytes.length;
    if (this.#left === undefined) {
      const text = bytes.toString('latin1');
      this.#header += text;
      const end = this.#header.indexOf('\r\n\r\n');
      if (end === -1) return;
      if (!/^HTTP\/1\.1 20[012] /.test(this.#header)) {
        this.#done(new Refused(`a request was answered ${this.#header.slice(0, 200)}`));
        return;
      }
      length = this.#header.length - end - 4;
      this.#left = Number(/\ncontent-length: (\d+)/i.exec(this.#header)?.[1]);
      this.#header = '';
    }
    this.#left -= length;
    if (this.#left === 0) this.#done();
  }

  /** @param {Error} [error] */
  #done(error) {
    const settle = this.#settle;
    this.#settle = undefined;
    this.#left = undefined;
    settle?.(error);
  }
}
