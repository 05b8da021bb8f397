/**
 * CI runs the suites on one process, and some of them again on the nodes of a cluster or in Firefox. Jest runs all of these at
 * once: each run of Jest bundles the program, and leaves a processor idle while its last suites end.
 *
 * All suites together take two processors for more than half an hour. So the suites that take long are in parts, and commits
 * take turns: each runs the next part. `CI_PART=all npm run test:ci` runs every suite, and `CI_PART=2` the second part.
 */
import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import onNodes, { IN_CI } from './jest.cluster.config.js';
import inFirefox, { SUITES } from './jest.firefox.config.js';
import one from './jest.config.js';

export const PARTS = 10;

/** Suites that take about 20 s and more (each run prints the times), mostly for the many processes and pages that they start. */
const LONG = {
  unit: 'cluster-serving|conversations|jetstream-order|message-log|presence|subscription|twin-replicas|waiting',
  browser: '.*',
  fuzz: '.*',
  nodes: '.*',
  integration:
    '(bench|cluster|container|fault|key|log|nats|package|push)-.*|bench|bodies|client-transports|clients|command-line|config' +
    '|cors|counting|damage|descriptors|disk-full|disk-place|end|eventsource|handover|limits|metrics|model|openapi-tools' +
    '|power-cut|protocols|push|request-log|retention|secret-rotation|slow-reader|start|systemd|token-end|upgrades' +
    '|upgrades-killed|web-socket|web-socket-publish|wire-tap',
};

/** Long suites that every run includes: the page, and the exact resume of a browser. */
const ALWAYS = ['browser/chat', 'browser/client-resume', 'browser/event-source'];

/** @typedef {'one' | 'nodes' | 'Firefox'} Place where a suite is run: one process, the nodes of a cluster, or Firefox */
/** @typedef {`${Place}: ${string}`} Entry a suite and its place, such as `nodes: integration/publish` */

/** Returns all that CI ever runs, in order. @returns {Entry[]} */
export function allSuites() {
  const folders = ['unit', 'integration', 'fuzz', 'nodes', 'browser'];
  return [
    ...folders.flatMap((folder) => namesIn(folder).map((name) => entry('one', `${folder}/${name}`))),
    ...IN_CI.split(' ').map((name) => entry('nodes', `integration/${name}`)),
    ...SUITES.split(' ').map((name) => entry('Firefox', `browser/${name}`)),
  ];
}

/**
 * Returns what a part runs. Neighbours by name are in different parts, so that each part has some of each kind.
 *
 * @param {string} part 1 to `PARTS`, or `all`
 * @returns {Entry[]}
 * @throws {Error} for any other part
 */
export function suitesOf(part) {
  const all = allSuites();
  if (part === 'all') return all;
  if (!/^\d+$/.test(part) || Number(part) < 1 || Number(part) > PARTS)
    throw new Error(`CI_PART must be 1 to ${PARTS}, or all, and not ${JSON.stringify(part)}`);
  const long = all.filter((suite) => isLong(suite));
  return all.filter((suite) => !isLong(suite) || long.indexOf(suite) % PARTS === Number(part) - 1);
}

/** @param {string} folder */
function namesIn(folder) {
  const files = readdirSync(join(import.meta.dirname, '__tests__', folder)).sort();
  return files.flatMap((file) => (file.endsWith('.test.ts') ? [file.replace('.test.ts', '')] : []));
}

/** @param {Place} place @param {string} suite @returns {Entry} */
function entry(place, suite) {
  return `${place}: ${suite}`;
}

/** @param {Entry} suite */
function isLong(suite) {
  if (ALWAYS.some((name) => suite === entry('one', name))) return false;
  const long = Object.entries(LONG).map(([folder, names]) => `${folder}/(${names})`);
  return !suite.startsWith('one: ') || new RegExp(`: (${long.join('|')})$`).test(suite);
}

/** Returns the part of this commit; `all` if Git does not know the commit. */
function partOfCommit() {
  /** @param {...string} command */
  const git = (...command) =>
    String(execFileSync('git', command, { cwd: import.meta.dirname, stdio: 'pipe' })).trim();
  try {
    // A shallow clone cannot count.
    const isShallow = git('rev-parse', '--is-shallow-repository') === 'true';
    const number = isShallow
      ? Number(`0x${git('rev-parse', '--short=8', 'HEAD')}`)
      : Number(git('rev-list', '--count', 'HEAD'));
    return String((number % PARTS) + 1);
  } catch {
    return 'all';
  }
}

/** The part that is run now: a number, or `all`. */
export const part = process.env['CI_PART'] ?? partOfCommit();
const chosen = suitesOf(part);
const left = allSuites().length - chosen.length;
/** Printed under the times. */
const note = `Part ${part} of ${PARTS}: ${left} suites were left to other commits. CI_PART=all runs all.`;

const { testTimeout, maxWorkers } = /** @type {Required<import('jest').Config>} */ (one);

/**
 * Returns the configurations of a place; none if nothing is run there.
 *
 * @param {Place} place
 * @param {import('jest').Config} config its options that hold for a whole run are left out
 * @returns {import('jest').Config[]}
 */
function projects(place, { testTimeout: _, maxWorkers: __, reporters: ___, ...config }) {
  const suites = chosen
    .filter((suite) => suite.startsWith(`${place}: `))
    .map((suite) => suite.split(': ')[1]);
  const testMatch = suites.map((suite) => `<rootDir>/__tests__/${suite}.test.ts`);
  return suites.length === 0 ? [] : [{ ...config, displayName: place, testMatch }];
}

/** @type {import('jest').Config} */
export default {
  testTimeout,
  maxWorkers,
  reporters: ['default', ['<rootDir>/__tests__/support/suite-times.js', left === 0 ? {} : { note }]],
  projects: [...projects('one', one), ...projects('nodes', onNodes), ...projects('Firefox', inFirefox)],
};
