import { relative } from 'node:path';

/** @typedef {{ perfStats: { start: number, end: number }, testFilePath: string, displayName?: { name: string } }} Suite */

/** A reporter that prints at the end how long each suite took, the longest first, if there were several. */
export default class SuiteTimes {
  #note;

  /**
   * @param {unknown} _config
   * @param {{ note?: string }} options `note`: a line that is printed under the times
   */
  constructor(_config, { note } = {}) {
    this.#note = note;
  }

  /**
   * @param {unknown} _contexts
   * @param {{ testResults: readonly Suite[] }} results
   */
  onRunComplete(_contexts, { testResults }) {
    if (testResults.length < 2) return;
    const times = testResults.map(({ perfStats, testFilePath, displayName }) => ({
      seconds: (perfStats.end - perfStats.start) / 1000,
      name:
        relative(process.cwd(), testFilePath) + (displayName === undefined ? '' : ` (${displayName.name})`),
    }));
    const lines = times
      .sort((one, other) => other.seconds - one.seconds)
      .map(({ seconds, name }) => `${seconds.toFixed(1).padStart(7)} s  ${name}\n`);
    process.stdout.write(`\nSuites by time:\n${lines.join('')}`);
    if (this.#note !== undefined) process.stdout.write(`${this.#note}\n`);
  }

  /** Jest asks a reporter whether the run failed by it. */
  getLastError() {
    return undefined;
  }
}
