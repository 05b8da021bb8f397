// `npm run bench`: measures the service on this machine, side by side with its alternatives. Writes a table to the
// output and to `results/`, and progress to the error output.
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { acknowledged } from './cases/acknowledged.js';
import { chatPage } from './cases/chat-page.js';
import { clusterBehind } from './cases/cluster-behind.js';
import { clusterFanOut } from './cases/cluster-fan-out.js';
import { clusterFaults } from './cases/cluster-faults.js';
import { clusterJoin } from './cases/cluster-join.js';
import { clusterNodes } from './cases/cluster-nodes.js';
import { clusterPublish } from './cases/cluster-publish.js';
import { conversations } from './cases/conversations.js';
import { fanOut } from './cases/fan-out.js';
import { hostile } from './cases/hostile.js';
import { idleMemory } from './cases/idle-memory.js';
import { latency } from './cases/latency.js';
import { manyInboxes } from './cases/many-inboxes.js';
import { replay } from './cases/replay.js';
import { resume } from './cases/resume.js';
import { room } from './cases/room.js';
import { start } from './cases/start.js';
import { Ceiling } from './ceiling.js';
import { ATTACKS } from './hostile/attacks.js';
import { machine } from './machine.js';
import { centrifugo } from './peers/centrifugo.js';
import { mercureInMemory, mercureOnDisk } from './peers/mercure.js';
import { nchan } from './peers/nchan.js';
import { ntfy } from './peers/ntfy.js';
import { plain } from './peers/plain.js';
import { tidings, useBuild } from './peers/tidings.js';
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
  chatPage,
  clusterPublish,
  clusterFanOut,
  clusterNodes,
  clusterBehind,
  clusterJoin,
  clusterFaults,
  hostile,
];
const GROUPS = [...new Set(CASES.map(({ group }) => group))]
  .flatMap((name) => name ?? [])
  .map((name) => ({ name }));
const PEERS = [tidings, nchan, centrifugo, mercureInMemory, mercureOnDisk, ntfy, plain];

const { values, positionals } = readArguments();
if (values.list) {
  for (const { name, about } of CASES) process.stdout.write(`${name.padEnd(20)} ${about}\n`);
  for (const { name, about } of ATTACKS) {
    process.stdout.write(`  --attack ${name.padEnd(20)} ${about}\n`);
  }
} else {
  await measure(values, positionals);
}

/**
 * @param {{ quick: boolean, build?: string, against?: string, results?: string, attack?: readonly string[], 'snapshot-megabytes'?: string }} options
 * @param {readonly string[]} names of the cases; if there are none, all cases that run without being named
 */
async function measure({ quick, build, against, results, attack: attacks = [], ...sizes }, names) {
  if (!existsSync('/proc/self/status')) {
    refuse('It reads memory and CPU times from /proc. Run it on Linux.');
  }
  const began = performance.now();
  const progress = (/** @type {string} */ line) => {
    process.stderr.write(`${((performance.now() - began) / 1000).toFixed(1).padStart(6)} s  ${line}\n`);
  };
  if (build !== undefined) useBuild(build);
  /** @type {string[]} */
  const notes = [];
  const missing = PEERS.filter((peer) => peer.missing() !== undefined);
  const peers = PEERS.filter((peer) => !missing.includes(peer));
  const megabytes = sizes['snapshot-megabytes'];
  const context = {
    scale: quick ? { quick, seconds: 0.4, runs: 1 } : { quick, seconds: 3, runs: 3 },
    peers,
    progress,
    largeLog: new LargeLog(quick ? 200_000 : 5_000_000, progress),
    ceiling: new Ceiling(quick ? 0.1 : 2, progress),
    attacks,
    against,
    ...(megabytes === undefined ? {} : { snapshotMegabytes: Number(megabytes) }),
    note: (/** @type {string} */ line) => void notes.push(line),
  };
  const rows = [];
  for (const { name, group = name, onlyNamed, run } of CASES) {
    const isNamed = names.includes(name) || names.includes(group);
    if (names.length === 0 ? onlyNamed !== true : isNamed) rows.push(...(await run(context)));
  }
  const foot = [
    ...notes,
    ...context.ceiling.lines.map((line) => `The load client alone, ${line}.`),
    ...peers.map(describe),
    ...missing.map((peer) => `${peer.name}: not installed; ${peer.missing()}`),
    ...(quick ? ['A quick run: its figures are rough.'] : []),
    `It took ${Math.round((performance.now() - began) / 1000)} s.`,
  ];
  const folder = results === undefined ? new URL('results/', import.meta.url) : folderUrl(results);
  const head = { ...machine(), ...(build === undefined ? {} : { build }) };
  process.stdout.write(writeResults(folder, { head, rows, foot }));
}

/**
 * @param {import('./peers/peer.js').Peer} peer
 * @returns {string} its version, and where a message is when its publish is answered
 */
function describe({ name, version, durability }) {
  const which = version?.();
  return `${name}${which === undefined ? '' : `, version ${which}`}: ${durability}.`;
}

function readArguments() {
  const flag = { type: /** @type {const} */ ('boolean'), default: false };
  const text = { type: /** @type {const} */ ('string') };
  const options = {
    ...{ quick: flag, list: flag, build: text, against: text, results: text },
    'snapshot-megabytes': text,
    attack: { ...text, multiple: /** @type {const} */ (true) },
  };
  try {
    const read = parseArgs({ options, allowPositionals: true });
    requireNames('case', [...CASES, ...GROUPS], read.positionals);
    requireNames('attack', ATTACKS, read.values.attack ?? []);
    const megabytes = read.values['snapshot-megabytes'];
    if (megabytes !== undefined && !/^[1-9]\d*$/.test(megabytes)) {
      refuse(`--snapshot-megabytes ${megabytes} is no whole number from 1 on.`);
    }
    for (const name of /** @type {const} */ (['build', 'against'])) {
      const folder = read.values[name];
      if (folder !== undefined && !existsSync(join(folder, 'main.js'))) {
        refuse(`--${name} ${folder} has no main.js. Give the folder of a build, such as dist.`);
      }
    }
    return read;
  } catch (error) {
    const flags =
      '--quick, --list, --build FOLDER, --against FOLDER, --results FOLDER, --attack NAME and --snapshot-megabytes N';
    refuse(`${/** @type {Error} */ (error).message}. The flags are ${flags}.`);
  }
}

/**
 * Ends the program if a name is not known.
 *
 * @param {string} what kind of thing they name
 * @param {readonly { name: string }[]} known
 * @param {readonly string[]} names
 */
function requireNames(what, known, names) {
  const unknown = names.find((name) => !known.some((each) => each.name === name));
  if (unknown === undefined) return;
  refuse(`There is no ${what} "${unknown}". Give one of ${known.map(({ name }) => name).join(', ')}.`);
}

/** @param {string} folder */
function folderUrl(folder) {
  return pathToFileURL(`${resolve(folder)}/`);
}

/**
 * @param {string} why
 * @returns {never}
 */
function refuse(why) {
  process.stderr.write(`bench: ${why}\n`);
  process.exit(1);
}
