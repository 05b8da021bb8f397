/** The clock of a server's machine, which can be set while the server runs (faketime). */
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { newFolder } from './server.ts';
import { testWithTool } from './tool.ts';

/** A test that needs a clock of its own. */
export const clockTest = testWithTool('faketime', 'faketime');

/**
 * Not by the command: that leaves a semaphore of its process id behind, and fails where an id comes again. `$LIB` is the
 * folder of libraries of this machine (ld.so(8)).
 */
const LIBRARY = '/usr/$LIB/faketime/libfaketime.so.1';

export class WrongClock {
  readonly #file = join(newFolder(), 'clock');

  constructor() {
    this.set(0);
  }

  /** The environment in which a server has this clock. What counts the time that passes (CLOCK_MONOTONIC) stays right. */
  get env(): Record<string, string> {
    return {
      LD_PRELOAD: LIBRARY,
      FAKETIME_TIMESTAMP_FILE: this.#file,
      FAKETIME_NO_CACHE: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
      NO_FAKE_STAT: '1',
    };
  }

  /** Sets it to so many seconds after the right time. */
  set(seconds: number): void {
    const next = `${this.#file}-next`;
    writeFileSync(next, `${seconds < 0 ? '' : '+'}${seconds}\n`);
    // At once: it is read at any moment.
    renameSync(next, this.#file);
  }
}
