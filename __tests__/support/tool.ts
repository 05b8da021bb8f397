import { spawnSync } from 'node:child_process';
import { test } from '@jest/globals';

/**
 * A `test` that needs a tool of the system: skipped with one line where that is missing, but not in CI.
 *
 * @param debianPackage what has it
 */
export function testWithTool(tool: string, debianPackage: string): typeof test | typeof test.skip {
  if (spawnSync(tool, ['--version']).error === undefined || process.env['CI'] === 'true') return test;
  process.stderr.write(`Tests that need ${tool} are skipped (apt-get install ${debianPackage}).\n`);
  return test.skip;
}
