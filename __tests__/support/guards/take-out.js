/**
 * `npm run test:guards -- --count 40 --seed 7`: takes guards out of the program, one at a time, and shows which test
 * notices. Survivors are guards without a test. The files are changed in place, so leave the folder alone meanwhile.
 *
 *     --list                      only shows the guards
 *     --unit                      runs unit suites only
 *     --only '3 8'                takes out only these guards of the list
 *     --suites 'integration/end'  runs these suites instead of those that fit the file
 */
import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Compiler } from './compiler.js';
import { guardsIn, withoutGuard } from './guards.js';
import { nameOf, sourcesIn, suitesFor } from './suites.js';

/** @typedef {import('./guards.js').Guard} Guard */
/** @typedef {{ suite: string | undefined, test: string | undefined }} Failure `suite` is undefined if none failed by itself */

const ROOT = join(import.meta.dirname, '../../..');

/** Without a guard a test may never end. Suites that run for longer than this have noticed. */
const MAX_MILLISECONDS = 600_000;

const { values: options } = parseArgs({
  options: {
    count: { type: 'string', default: '40' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 1e6)) },
    only: { type: 'string', default: '' },
    suites: { type: 'string', default: '' },
    unit: { type: 'boolean', default: false },
    list: { type: 'boolean', default: false },
  },
});
/** The numbers of the guards that are taken out; all, if there are none. */
const only = options.only.split(' ').filter(Boolean).map(Number);
const compiler = new Compiler(ROOT);
/** Has the output of the suites under way. */
const folder = mkdtempSync(join(tmpdir(), 'guards-'));

/** The texts of the files that are changed now, as they were. @type {Map<string, string>} */
const texts = new Map();
/** @type {import('node:child_process').ChildProcess | undefined} */
let running;

for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) {
  process.once(signal, () => {
    endRunning();
    process.exit(1);
  });
}
process.on('exit', () => {
  restore();
  rmSync(folder, { recursive: true, force: true });
});

execFileSync('npm', ['run', '--silent', 'build'], { cwd: ROOT, stdio: 'inherit' });
const guards = ['src', 'public'].flatMap((folder) =>
  sourcesIn(ROOT, folder)
    .filter((file) => !file.startsWith('public/types/'))
    .flatMap((file) => guardsIn(file, readFileSync(join(ROOT, file), 'utf8'))),
);
console.log(`${guards.length} guards; --seed ${options.seed} --count ${options.count}`);

let survivors = 0;
const picked = pick(guards, Number(options.count));
for (const [at, guard] of picked.entries()) {
  if (only.length > 0 && !only.includes(at + 1)) continue;
  console.log(`${at + 1}. ${guard.file}:${guard.line}  ${guard.code}`);
  if (options.list) continue;
  const noticed = await notice(guard);
  if (noticed === undefined) survivors += 1;
  console.log(noticed === undefined ? '   SURVIVED' : `   noticed by ${noticed}`);
}
if (!options.list) console.log(`${survivors} survivors`);

/**
 * Returns guards at random, in the order of their hashes with the seed: a later change elsewhere leaves the choice as it is.
 * Guards without which the code does not compile are left out.
 *
 * @param {readonly Guard[]} all @param {number} count
 */
function pick(all, count) {
  const inOrder = all
    .map((guard) => ({ guard, rank: hashOf(`${options.seed} ${guard.file} ${guard.code}`) }))
    .sort((one, other) => one.rank.localeCompare(other.rank));
  /** @type {Guard[]} */
  const chosen = [];
  for (const { guard } of inOrder) {
    if (chosen.length === count) break;
    const text = withoutGuard(readFileSync(join(ROOT, guard.file), 'utf8'), guard);
    if (compiler.accepts(guard.file, text)) chosen.push(guard);
  }
  return chosen;
}

/** @param {string} text */
function hashOf(text) {
  return createHash('sha256').update(text).digest('hex');
}

/** Returns the test that fails without a guard, or undefined for a survivor. @param {Guard} guard */
async function notice(guard) {
  for (const suites of stepsFor(guard)) {
    for (let left = suites; left.length > 0;) {
      const failure = await runWithout(guard, left);
      if (failure === undefined) {
        console.log(`   passed: ${left.join(' ')}`);
        break;
      }
      if (failure.suite === undefined) return failure.test ?? '';
      const name = `${failure.suite}: ${failure.test ?? 'it could not run'}`;
      if (await isConfirmed(guard, failure)) return name;
      console.log(`   failed at random, or with the guard as well: ${name}`);
      left = left.filter((suite) => suite !== failure.suite);
    }
  }
  return undefined;
}

/** Returns the suites that could notice, or the given ones, in steps. @param {Guard} guard */
function stepsFor(guard) {
  if (options.suites !== '') return [options.suites.split(' ')];
  return suitesFor(ROOT, guard.file).slice(0, options.unit ? 2 : 3);
}

/** Returns whether a test fails again without a guard, and passes with it. @param {Guard} guard @param {Failure} failure */
async function isConfirmed(guard, { suite = '', test }) {
  return (await runWithout(guard, [suite], test)) !== undefined && (await run([suite], test)) === undefined;
}

/** Runs suites, or one test, without a guard. @param {Guard} guard @param {readonly string[]} suites @param {string} [test] */
async function runWithout(guard, suites, test) {
  takeOut(guard);
  try {
    return await run(suites, test);
  } finally {
    restore();
  }
}

/** Changes the file of a guard, and the built file that services run. @param {Guard} guard */
function takeOut(guard) {
  const source = join(ROOT, guard.file);
  const built = join(ROOT, guard.file.replace(/^src\//, 'dist/').replace(/\.ts$/, '.js'));
  for (const path of [source, built]) texts.set(path, readFileSync(path, 'utf8'));
  const text = withoutGuard(texts.get(source) ?? '', guard);
  writeFileSync(source, text);
  if (built !== source) writeFileSync(built, compiler.build(guard.file, text));
}

/** Puts back the files as they were. */
function restore() {
  for (const [path, text] of texts) writeFileSync(path, text);
  texts.clear();
}

/**
 * Runs suites until a test fails.
 *
 * @param {readonly string[]} suites @param {string} [test] the only test to be run
 * @returns {Promise<Failure | undefined>} undefined if all pass
 */
async function run(suites, test) {
  const output = join(folder, 'output');
  const args = ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning'];
  args.push('node_modules/jest/bin/jest.js', '--maxWorkers=1', '--bail', '--silent');
  if (test !== undefined) args.push('--testNamePattern', patternOf(test));
  args.push('--runTestsByPath', ...suites.map((name) => `__tests__/${name}.test.ts`));
  const file = openSync(output, 'w');
  try {
    // In a group of its own, it can be ended with everything that it started.
    const child = spawn(process.execPath, args, {
      cwd: ROOT,
      stdio: ['ignore', 'ignore', file],
      detached: true,
    });
    running = child;
    const timer = setTimeout(endRunning, MAX_MILLISECONDS);
    const code = await /** @type {Promise<number | null>} */ (
      new Promise((resolve) => child.once('exit', resolve))
    );
    clearTimeout(timer);
    running = undefined;
    if (code === 0) return undefined;
    if (code === null) return { suite: undefined, test: 'a suite that did not end' };
    return firstFailure(readFileSync(output, 'utf8'));
  } finally {
    closeSync(file);
  }
}

function endRunning() {
  if (running?.pid !== undefined) process.kill(-running.pid, 'SIGKILL');
}

/** Returns the first suite and test that failed. @param {string} output of Jest @returns {Failure} */
function firstFailure(output) {
  const suite = /^FAIL (\S+)/m.exec(output)?.[1];
  const test = /^ +● (?!Test suite failed)(.+)$/m.exec(output)?.[1];
  if (suite === undefined) return { suite, test: 'the build of the bundle' };
  return { suite: nameOf(suite), test };
}

/** Returns a pattern that only one name of a test matches. @param {string} test its name, as Jest prints it */
function patternOf(test) {
  return `^${test.replaceAll(' › ', ' ').replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&')}$`;
}
