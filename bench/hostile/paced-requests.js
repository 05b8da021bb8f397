import { setTimeout as sleep } from 'node:timers/promises';
import { RequestConnection } from '../client/connection.js';
import { now } from '../client/template.js';

/** By then a client has given up. */
const PATIENCE = 5000;

/**
 * The outcome of requests.
 *
 * @typedef {object} Outcome
 * @property {number[]} times milliseconds from when each was due to its answer, or to its failure
 * @property {number[]} computed milliseconds that the serving thread has computed in each of these times
 * @property {string[]} failures why requests failed
 */

/** Requests at set times, whether or not earlier ones were answered. */
export class PacedRequests {
  #port;
  #rate;
  #next;
  #clock;
  /** @type {RequestConnection[]} */
  #free = [];

  /**
   * @param {number} port
   * @param {number} rate requests a second
   * @param {() => { bytes: Buffer, onAnswer?: (() => void) | undefined }} next makes a request; `onAnswer` is called
   *   when it has succeeded
   * @param {() => number} [clock] returns how long the serving thread has computed, in milliseconds
   */
  constructor(port, rate, next, clock = () => NaN) {
    this.#port = port;
    this.#rate = rate;
    this.#next = next;
    this.#clock = clock;
  }

  /**
   * Makes requests for a time, and waits for their answers. A request without a successful answer after 5 s has failed.
   *
   * @param {number} seconds
   * @returns {Promise<Outcome>}
   */
  async run(seconds) {
    /** @type {Outcome} */
    const outcome = { times: [], computed: [], failures: [] };
    const began = now();
    const requests = Array.from({ length: Math.round(seconds * this.#rate) }, async (_, index) => {
      const due = began + (index * 1e6) / this.#rate;
      await sleep(Math.max(0, (due - now()) / 1000));
      const before = this.#clock();
      const failure = await this.#make();
      outcome.computed.push(this.#clock() - before);
      outcome.times.push((now() - due) / 1000);
      if (failure !== undefined) outcome.failures.push(failure);
    });
    await Promise.all(requests);
    return outcome;
  }

  /**
   * Makes a single request.
   *
   * @returns {Promise<number>} milliseconds until its answer; Infinity if it failed
   */
  async once() {
    const began = now();
    return (await this.#make()) === undefined ? (now() - began) / 1000 : Infinity;
  }

  /**
   * Makes a number of requests, with `inFlight` at a time.
   *
   * @param {number} requests
   * @param {number} inFlight
   */
  async rush(requests, inFlight) {
    const share = Array.from({ length: inFlight }, async () => {
      for (let made = 0; made < requests / inFlight; made++) await this.#make();
    });
    await Promise.all(share);
  }

  /** @returns {Promise<string | undefined>} why it failed */
  async #make() {
    const connection = this.#free.pop() ?? new RequestConnection(this.#port);
    // The request reports a connection that cannot be opened.
    connection.opened.catch(() => undefined);
    const { bytes, onAnswer } = this.#next();
    /** @type {NodeJS.Timeout | undefined} */
    let timer;
    const error = await new Promise((/** @type {(error?: Error) => void} */ resolve) => {
      timer = setTimeout(() => resolve(new Error(`no answer after ${PATIENCE} ms`)), PATIENCE);
      connection.send(bytes, resolve);
    });
    clearTimeout(timer);
    if (error === undefined) {
      onAnswer?.();
      this.#free.push(connection);
      return undefined;
    }
    connection.close();
    return error.message;
  }
}
