// Requests to the service, as bytes and through node:http.
import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** @typedef {import('./attack.js').Target} Target */
/** @typedef {{ method?: string, token?: string | undefined, type?: string, body?: string | Buffer, headers?: Readonly<Record<string, string>> }} Options */

/**
 * Returns a request as it is on the wire.
 *
 * @param {string} path
 * @param {Options} [options]
 */
export function requestBytes(path, { method = 'GET', ...options } = {}) {
  const { body = '' } = options;
  const fields = Object.entries({ Host: '127.0.0.1', ...headersOf(options) });
  const head = fields.map(([name, value]) => `${name}: ${value}\r\n`).join('');
  return Buffer.concat([Buffer.from(`${method} ${path} HTTP/1.1\r\n${head}\r\n`), Buffer.from(body)]);
}

/** @param {Options} options */
function headersOf({ token, type = 'application/json', body, headers }) {
  return {
    ...(token === undefined ? {} : { Authorization: `Bearer ${token}` }),
    ...(body === undefined
      ? {}
      : { 'Content-Type': type, 'Content-Length': String(Buffer.byteLength(body)) }),
    ...headers,
  };
}

/**
 * Makes a request and reads the answer to its end.
 *
 * @param {Target} target
 * @param {import('node:http').Agent} agent
 * @param {string} path
 * @param {Options} [options]
 * @returns {Promise<number>} the status; 0 if there was none
 */
export function ask({ port, signal, tally }, agent, path, { method = 'GET', ...options } = {}) {
  tally.sent++;
  return new Promise((resolve) => {
    const settle = (/** @type {number} */ status) => {
      if (!signal.aborted) tally.answered(status);
      resolve(status);
    };
    const request = httpRequest({
      host: '127.0.0.1',
      port,
      path,
      method,
      agent,
      signal,
      headers: headersOf(options),
    });
    request.on('response', (response) => {
      response.resume();
      response.on('close', () => settle(response.statusCode ?? 0));
    });
    request.on('error', () => settle(0));
    request.end(options.body);
  });
}

/**
 * Waits, unless the attack ends first.
 *
 * @param {Target} target
 * @param {number} milliseconds
 */
export async function pause({ signal }, milliseconds) {
  await sleep(milliseconds, undefined, { signal }).catch(() => undefined);
}

/** A connection for bytes that no client would write. It is closed when the attack ends. */
export class RawConnection {
  #socket;
  /** Settles when it is closed. @type {Promise<void>} */
  closed;

  /**
   * @param {Target} target
   * @param {{ reads: boolean }} options whether it reads the answers
   */
  constructor({ port, signal }, { reads }) {
    this.#socket = connect({ port, host: '127.0.0.1', noDelay: true });
    if (reads) this.#socket.resume();
    else this.#socket.pause();
    this.#socket.on('error', () => this.#socket.destroy());
    const end = () => this.#socket.destroy();
    signal.addEventListener('abort', end);
    this.closed = new Promise((resolve) => {
      this.#socket.once('close', () => {
        signal.removeEventListener('abort', end);
        resolve();
      });
    });
  }

  get open() {
    return !this.#socket.destroyed;
  }

  /**
   * Writes bytes, and waits until the system has taken them or the connection is closed.
   *
   * @param {Buffer} bytes
   */
  async write(bytes) {
    if (!this.open) return;
    await Promise.race([this.closed, new Promise((resolve) => this.#socket.write(bytes, resolve))]);
  }

  /** Settles with the first bytes that come, or when it is closed. */
  async answer() {
    await Promise.race([this.closed, new Promise((resolve) => this.#socket.once('data', resolve))]);
  }

  close() {
    this.#socket.destroy();
  }
}
