// `npm run bench`: what the service does on this machine, side by side with what one would take instead. Writes a table
// to the output, and to `results/`; progress to the error output.
import { existsSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { acknowledged } from './cases/acknowledged.js';
import { conversations } from './cases/conversations.js';
import { fanOut } from './cases/fan-out.js';
import { idleMemory } from './cases/idle-memory.js';
import { latency } from './cases/latency.js';
import { manyInboxes } from './cases/many-inboxes.js';
import { replay } from './cases/replay.js';
import { resume } from './cases/resume.js';
import { room } from './cases/room.js';
import { start } from './cases/start.js';
import { Ceiling } from './ceiling.js';
import { machine } from './machine.js';
import { nchan } from './peers/nchan.js';
import { ntfy } from './peers/ntfy.js';
import { plain } from './peers/plain.js';
import { tidings } from './peers/tidings.js';
import { LargeLog } from './stored-log.js';
import { writeResults } from './table.js';

const CASES = [
  fanOut,
  latency,
  acknowledged,
  replay,
  resume,
  start,
  idleMemory,
  manyInboxes,
  room,
  conversations,
];
const PEERS = [tidings, nchan, ntfy, plain];

const { values, positionals } = readArguments();
if (values.list) {
  for (const { name, about } of CASES) process.stdout.write(`${name.padEnd(20)} ${about}\n`);
} else {
  await measure(values.quick, positionals);
}

/**
 * @param {boolean} quick
 * @param {readonly string[]} names of the cases; all where there are none
 */
async function measure(quick, names) {
  if (!existsSync('/proc/self/status')) {
    refuse('It reads memory and CPU times from /proc. Run it on Linux.');
  }
  const began = performance.now();
  const progress = (/** @type {string} */ line) => {
    process.stderr.write(`${((performance.now() - began) / 1000).toFixed(1).padStart(6)} s  ${line}\n`);
  };
  const missing = PEERS.filter((peer) => peer.missing() !== undefined);
  const peers = PEERS.filter((peer) => !missing.includes(peer));
  const context = {
    scale: quick ? { quick, seconds: 0.4, runs: 1 } : { quick, seconds: 3, runs: 3 },
    peers,
    progress,
    largeLog: new LargeLog(quick ? 200_000 : 5_000_000, progress),
    ceiling: new Ceiling(quick ? 0.1 : 2, progress),
  };
  const rows = [];
  for (const { name, run } of CASES) {
    if (names.length === 0 || names.includes(name)) rows.push(...(await run(context)));
  }
  const foot = [
    ...context.ceiling.lines.map((line) => `The load client alone, ${line}.`),
    ...missing.map((peer) => `${peer.name}: not installed; ${peer.missing()}`),
    ...(quick ? ['A quick run: its figures are rough.'] : []),
    `It took ${Math.round((performance.now() - began) / 1000)} s.`,
  ];
  process.stdout.write(writeResults(new URL('results/', import.meta.url), { head: machine(), rows, foot }));
}

function readArguments() {
  const flag = { type: /** @type {const} */ ('boolean'), default: false };
  try {
    const read = parseArgs({ options: { quick: flag, list: flag }, allowPositionals: true });
    const unknown = read.positionals.find((name) => !CASES.some((each) => each.name === name));
    if (unknown === undefined) return read;
    refuse(`There is no case "${unknown}". Give one of ${CASES.map(({ name }) => name).join(', ')}.`);
  } catch (error) {
    refuse(`${/** @type {Error} */ (error).message}. The flags are --quick and --list.`);
  }
}

/**
 * @param {string} why
 * @returns {never}
 */
function refuse(why) {
  process.stderr.write(`bench: ${why}\n`);
  process.exit(1);
}
