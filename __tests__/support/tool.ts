import { spawnSync } from 'node:child_process';
import { test } from '@jest/globals';

/**
 * A `test` that needs a tool of the system: skipped with one line where that is missing, but not in CI.
 *
 * @param debianPackage what has it
 * @param install how it is installed, if not from that package of this system
 */
export function testWithTool(
  tool: string,
  debianPackage: string,
  install = `apt-get install ${debianPackage}`,
): typeof test | typeof test.skip {
  if (spawnSync(tool, ['--version']).error === undefined || process.env['CI'] === 'true') return test;
  process.stderr.write(`Tests that need ${tool} are skipped (${install}).\n`);
  return test.skip;
}
