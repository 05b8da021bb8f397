import { startModule, stop } from '../processes.js';

/** A figure that cannot be given, because the run was not as it should be. */
export class Refused extends Error {}

/** Another process, whose functions are called from this one. */
export class Remote {
  #child;
  #calls = 0;
  /** @type {Map<number, { resolve: (value: any) => void, reject: (error: Error) => void }>} */
  #waiting = new Map();

  /**
   * @param {URL} module that calls `serve`
   * @param {number} [core] the core that it runs on; any free one if left out
   */
  constructor(module, core) {
    this.#child = startModule(module, core);
    this.#child.on('message', (/** @type {Answer} */ { call, value, refused }) => {
      const waiting = this.#waiting.get(call);
      this.#waiting.delete(call);
      if (refused === undefined) waiting?.resolve(value);
      else waiting?.reject(new Refused(refused));
    });
    this.#child.on('exit', (code) => {
      for (const { reject } of this.#waiting.values())
        reject(new Error(`${module.pathname} ended (${code})`));
    });
  }

  /**
   * @param {string} name of a function that the process serves
   * @param {object} [options] its argument
   * @returns {Promise<unknown>} what it returns
   * @throws {Refused} if the function does
   */
  call(name, options = {}) {
    const call = ++this.#calls;
    return new Promise((resolve, reject) => {
      this.#waiting.set(call, { resolve, reject });
      this.#child.send({ call, name, options });
    });
  }

  async stop() {
    await stop(this.#child);
  }
}

/** @typedef {{ call: number, value?: unknown, refused?: string }} Answer */

/**
 * Serves functions to the process that started this one, and ends with it. An error that is not `Refused` ends it too.
 *
 * @param {Record<string, (options: any) => unknown>} functions by name
 */
export function serve(functions) {
  process.on('disconnect', () => process.exit());
  process.on('message', (/** @type {{ call: number, name: string, options: unknown }} */ message) => {
    void answer(functions, message);
  });
}

/**
 * @param {Record<string, (options: any) => unknown>} functions
 * @param {{ call: number, name: string, options: unknown }} message
 */
async function answer(functions, { call, name, options }) {
  try {
    process.send?.({ call, value: await functions[name]?.(options) });
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    process.send?.({ call, refused: error.message });
  }
}

/**
 * @template Result
 * @param {() => Promise<Result>} measure
 * @returns {Promise<Result | string>} the measurement, or why it was refused
 */
export async function orRefused(measure) {
  try {
    return await measure();
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    return `refused: ${error.message}`;
  }
}
