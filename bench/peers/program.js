import { readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** The folder into which the commands of `missing` install programs; it must be in the path. */
export const FOLDER = '~/.cache/tidings/peers';

/** A program that is looked for in the path. */
export class Program {
  #name;
  /** @type {Buffer | undefined} */
  #bytes;

  /** @param {string} name */
  constructor(name) {
    this.#name = name;
  }

  get isInstalled() {
    return this.#read() !== undefined;
  }

  /**
   * @param {string} module of Go, from which the program was built
   * @returns {string | undefined} its version, which Go writes into programs; undefined if it is not in this one
   */
  moduleVersion(module) {
    const bytes = this.#read();
    const at = bytes?.indexOf(`\t${module}\tv`) ?? -1;
    if (at === -1) return undefined;
    return /\tv([^\t\n]+)/.exec(
      bytes?.toString('latin1', at + module.length, at + module.length + 100) ?? '',
    )?.[1];
  }

  #read() {
    for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
      if (this.#bytes !== undefined) break;
      try {
        this.#bytes = readFileSync(join(folder, this.#name));
      } catch {
        // It is not in this folder.
      }
    }
    return this.#bytes;
  }
}
