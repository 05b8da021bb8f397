// The processes and folders of a run. Whatever way it ends, none is left.
import { fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** @typedef {import('node:child_process').ChildProcess} ChildProcess */

/** One whose output can be read. @typedef {ChildProcess & { stdout: import('node:stream').Readable }} Started */

/** @type {Set<ChildProcess>} */
const running = new Set();
/** @type {Set<string>} */
const folders = new Set();

process.on('exit', () => {
  for (const { pid } of running) for (const each of family(pid)) kill(each);
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});
for (const [number, signal] of /** @type {[number, NodeJS.Signals][]} */ ([
  [1, 'SIGHUP'],
  [2, 'SIGINT'],
  [15, 'SIGTERM'],
])) {
  process.on(signal, () => process.exit(128 + number));
}

/** A new folder, which is gone after the run. */
export function makeFolder() {
  const folder = mkdtempSync(join(tmpdir(), 'tidings-bench-'));
  folders.add(folder);
  return folder;
}

/** @param {string} folder one of `makeFolder`, not needed any more */
export function removeFolder(folder) {
  rmSync(folder, { recursive: true, force: true });
  folders.delete(folder);
}

/**
 * Starts a program without the environment of this one: a variable that is set here is not to change what it does.
 *
 * @param {string} command
 * @param {readonly string[]} args
 * @param {{ env?: Readonly<Record<string, string>>, errors?: 'inherit' | 'ignore' | 'pipe' }} [options] `env`: what it
 *   has besides `PATH`; `errors`: where its error output goes, with `pipe` into one that nobody reads
 */
export function start(command, args, { env = {}, errors = 'inherit' } = {}) {
  const all = { PATH: process.env['PATH'], TMPDIR: tmpdir(), ...env };
  const child = spawn(command, args, { env: all, stdio: ['ignore', 'pipe', errors] });
  return keep(/** @type {Started} */ (child));
}

/**
 * Starts a process that is told by messages what to do, and ends with the channel of these.
 *
 * @param {URL} module
 * @param {number} [core] the one that it computes on; whichever is free if left out
 */
export function startModule(module, core) {
  if (core === undefined) return keep(fork(module));
  // taskset becomes the process that it starts, which has the channel and the number of it.
  const pinned = { execPath: 'taskset', execArgv: ['--cpu-list', String(core), process.execPath] };
  return keep(fork(module, [], pinned));
}

/**
 * Ends a process, and waits until it has ended. Nothing is done where it has.
 *
 * @param {ChildProcess} child
 * @param {NodeJS.Signals} [signal]
 */
export async function stop(child, signal = 'SIGTERM') {
  if (!running.has(child)) return;
  const ended = once(child, 'exit');
  child.kill(signal);
  await ended;
}

/**
 * A process and all that it started.
 *
 * @param {number | undefined} pid
 * @returns {number[]} none where it has ended
 */
export function family(pid) {
  if (pid === undefined) return [];
  try {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').match(/\d+/g) ?? [];
    return [pid, ...children.flatMap((child) => family(Number(child)))];
  } catch {
    return [];
  }
}

/**
 * @template {ChildProcess} Child
 * @param {Child} child
 */
function keep(child) {
  running.add(child);
  child.on('exit', () => running.delete(child));
  return child;
}

/** @param {number} pid */
function kill(pid) {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}
