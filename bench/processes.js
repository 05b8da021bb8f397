// The processes and folders of a run. However it ends, none remains.
import { fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** @typedef {import('node:child_process').ChildProcess} ChildProcess */

/** A process whose output can be read. @typedef {ChildProcess & { stdout: import('node:stream').Readable }} Started */

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

/** Makes a folder, which is removed after the run. */
export function makeFolder() {
  const folder = mkdtempSync(join(tmpdir(), 'tidings-bench-'));
  folders.add(folder);
  return folder;
}

/** @param {string} folder a folder of `makeFolder` that is no longer needed */
export function removeFolder(folder) {
  rmSync(folder, { recursive: true, force: true });
  folders.delete(folder);
}

/**
 * Starts a program without the environment of this one, so that a variable that is set here does not change what it
 * does.
 *
 * @param {string} command
 * @param {readonly string[]} args
 * @param {{ env?: Readonly<Record<string, string>>, errors?: 'inherit' | 'ignore' | 'pipe' }} [options] `env`: its
 *   variables besides `PATH`; `errors`: where its error output goes; with `pipe`, into a pipe that nobody reads
 */
export function start(command, args, { env = {}, errors = 'inherit' } = {}) {
  const all = { PATH: process.env['PATH'], TMPDIR: tmpdir(), ...env };
  const child = spawn(command, args, { env: all, stdio: ['ignore', 'pipe', errors] });
  return keep(/** @type {Started} */ (child));
}

/**
 * Starts a process that is controlled by messages, and ends when their channel closes.
 *
 * @param {URL} module
 * @param {number} [core] the core that it runs on; any free one if left out
 */
export function startModule(module, core) {
  if (core === undefined) return keep(fork(module));
  // taskset becomes the process that it starts, which inherits its channel and its process id.
  const pinned = { execPath: 'taskset', execArgv: ['--cpu-list', String(core), process.execPath] };
  return keep(fork(module, [], pinned));
}

/**
 * Ends a process, and waits until it has ended. Does nothing if it has ended already.
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
 * Returns the ids of a process and of all processes that it started.
 *
 * @param {number | undefined} pid
 * @returns {number[]} none if it has ended
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
