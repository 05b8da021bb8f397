/**
 * What CI runs: the suites, with some of them on the nodes of a cluster and in Firefox as well. It is one run, because each run
 * bundles the program, and leaves a processor idle while its last suites end.
 *
 * All suites together take two processors for more than half an hour. So the suites that take long are in parts, and the commit
 * says which part its run plays: successive commits play all of them. `CI_PART=all npm run test:ci` runs every suite, as
 * `npm test` does, and `CI_PART=2` repeats what CI ran.
 */
import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import onNodes from './jest.cluster.config.js';
import inFirefox from './jest.firefox.config.js';
import one from './jest.config.js';

export const PARTS = 4;

/** Suites that take about 20 s and more (each run prints the times), mostly for the many processes and pages that they start. */
const LONG = {
  browser: '.*',
  fuzz: '.*',
  nodes: '.*',
  integration:
    '(bench|cluster|container|fault|key|log|nats|package|push)-.*|bench|client-transports|clients|command-line|config|cors' +
    '|counting|damage|disk-full|disk-place|end|eventsource|handover|limits|model|openapi-tools|protocols|request-log|retention' +
    '|slow-reader|start|systemd|token-end|upgrades|upgrades-killed|web-socket-publish',
};

/** Long ones that each run plays: the page, and the exact resume of a browser. */
const ALWAYS = ['browser/chat', 'browser/client-resume', 'browser/event-source'];

/** Returns all suites, as `folder/name`, in order. */
export function allSuites() {
  return ['unit', 'integration', 'fuzz', 'nodes', 'browser'].flatMap((folder) =>
    readdirSync(join(import.meta.dirname, '__tests__', folder))
      .filter((file) => file.endsWith('.test.ts'))
      .map((file) => `${folder}/${file.replace('.test.ts', '')}`)
      .sort(),
  );
}

/**
 * Returns the suites of a part. Neighbours by name are in different parts, so that each part has some of each kind.
 *
 * @param {string} part 1 to `PARTS`, or `all`
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

/** @param {string} suite */
function isLong(suite) {
  const long = Object.entries(LONG).map(([folder, names]) => `${folder}/(${names})`);
  return !ALWAYS.includes(suite) && new RegExp(`^(${long.join('|')})$`).test(suite);
}

/** Returns the part that the commit says; `all` where Git knows none. */
function partOfCommit() {
  try {
    const commit = execFileSync('git', ['rev-parse', 'HEAD'], { cwd: import.meta.dirname, stdio: 'pipe' });
    return String((Number.parseInt(String(commit).slice(0, 8), 16) % PARTS) + 1);
  } catch {
    return 'all';
  }
}

const part = process.env['CI_PART'] ?? partOfCommit();
const chosen = suitesOf(part);
const left = allSuites().length - chosen.length;
if (left > 0)
  process.stdout.write(
    `Part ${part} of ${PARTS}: other commits run the other ${left} suites, and CI_PART=all runs all.\n`,
  );

const { testTimeout, maxWorkers, reporters } = /** @type {Required<import('jest').Config>} */ (one);

/**
 * @param {import('jest').Config} config its options that hold for a whole run are left out
 * @param {string} displayName
 * @returns {import('jest').Config}
 */
function project({ testTimeout: _, maxWorkers: __, reporters: ___, ...config }, displayName) {
  return { ...config, displayName };
}

/** @type {import('jest').Config} */
export default {
  testTimeout,
  maxWorkers,
  reporters,
  projects: [
    project({ ...one, testMatch: chosen.map((suite) => `<rootDir>/__tests__/${suite}.test.ts`) }, 'one'),
    project(onNodes, 'nodes'),
    project(inFirefox, 'Firefox'),
  ],
};
