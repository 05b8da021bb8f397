/**
 * Loaded into a command before it: kills the process, as a crash does, at one of the steps that change names or files, counted
 * from 0 by KILL_AT_STEP. Says nothing if there are fewer.
 */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

let left = Number(process.env['KILL_AT_STEP']);

for (const name of /** @type {const} */ (['copyFileSync', 'fsyncSync', 'linkSync', 'renameSync', 'rmSync'])) {
  const step = /** @type {(...args: unknown[]) => unknown} */ (fs[name]);
  Object.assign(fs, {
    [name]: (/** @type {unknown[]} */ ...args) => {
      if (left-- === 0) process.kill(process.pid, 'SIGKILL');
      return step(...args);
    },
  });
}
syncBuiltinESMExports();
