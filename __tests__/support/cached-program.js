/**
 * Loads the bundled program with the code that V8 compiled when it ran before. A start without it spends a third of its CPU
 * on that. `bundled-program.js` puts a copy of this module beside the program.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { Script } from 'node:vm';

const FILE = join(import.meta.dirname, 'program.cjs');
const CACHE = `${FILE}.cache`;
const HEAD = '(function (exports, require, module) {';

const cachedData = existsSync(CACHE) ? readFileSync(CACHE) : undefined;
const script = new Script(`${HEAD}${readFileSync(FILE, 'utf8')}\n})`, {
  filename: FILE,
  columnOffset: -HEAD.length,
  ...(cachedData === undefined ? {} : { cachedData }),
});
// At the end, the functions that a start calls are compiled too.
if (cachedData === undefined) process.on('exit', () => writeFileSync(CACHE, script.createCachedData()));

const loaded = { exports: /** @type {Record<string, unknown>} */ ({}) };
/** @type {unknown} */
const run = script.runInThisContext();
/** @type {(...names: unknown[]) => void} */ (run)(loaded.exports, createRequire(FILE), loaded);

/** The exports of the program's modules. */
export const program = loaded.exports;
