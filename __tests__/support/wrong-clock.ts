/** The clock of a server's machine, which can be set while the server runs (faketime). */
import { execFileSync } from 'node:child_process';
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { newFolder } from './server.ts';
import { testWithTool } from './tool.ts';

/** A test that needs a clock of its own. */
export const clockTest = testWithTool('faketime', 'faketime');

export class WrongClock {
  readonly #file = join(newFolder(), 'clock');

  constructor() {
    this.set(0);
  }

  /** The environment in which a server has this clock. What counts the time that passes (CLOCK_MONOTONIC) stays right. */
  get env(): Record<string, string> {
    const library = execFileSync('faketime', ['-f', '+0', 'printenv', 'LD_PRELOAD'], { encoding: 'utf8' });
    return {
      LD_PRELOAD: library.trim(),
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
