/** The environment of suites on nodes: skips the tests of a suite that the configuration names. */
import { basename } from 'node:path';
import { TestEnvironment } from 'jest-environment-node';

export default class NodesEnvironment extends TestEnvironment {
  /**
   * The beginnings of names of tests.
   *
   * @type {readonly string[]}
   */
  #skipped;

  /** @param {ConstructorParameters<typeof TestEnvironment>} parts `skipped` of the options has lists of names by suite */
  constructor(...parts) {
    super(...parts);
    const [{ projectConfig }, { testPath }] = parts;
    const { skipped } = /** @type {{ skipped: Record<string, readonly string[]> }} */ (
      projectConfig.testEnvironmentOptions
    );
    this.#skipped = skipped[basename(testPath, '.test.ts')] ?? [];
  }

  /** @param {{ name: string, test?: { name: string, mode?: string | null } }} event */
  handleTestEvent({ name, test }) {
    if (name !== 'test_start' || test === undefined) return;
    if (this.#skipped.some((start) => test.name.startsWith(start))) test.mode = 'skip';
  }
}
