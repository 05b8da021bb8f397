import { spawnSync } from 'node:child_process';
import { availableParallelism, loadavg } from 'node:os';
import { Remote } from '../client/remote.js';
import { ATTACKS } from '../hostile/attacks.js';
import { besiege, p99, StoredTarget } from '../hostile/siege.js';
import { figureText } from '../samples.js';

/** @typedef {import('../case.js').Row} Row */
/** @typedef {import('../hostile/siege.js').Part} Part */

/** The numbers of attacking connections, in turn, unless the attack has its own. */
const CONNECTIONS = [1, 4];

/** Honest clients may wait this many times as long beside an attack as alone. */
const RATIO = 3;
const HEALTH_MILLISECONDS = 100;
const MEGABYTES = 64;

/** @type {import('../case.js').Case} */
export const hostile = {
  name: 'hostile',
  about:
    '50 publishes a second to 200 streams, alone and beside each of several attacks (only if it is named)',
  onlyNamed: true,
  run: async ({ scale, attacks, progress, note }) => {
    const [load = NaN] = loadavg();
    note(`The load average of the machine before: ${figureText(load)}, on ${availableParallelism()} cores.`);
    const core = attackersCore();
    if (core === undefined)
      note('taskset is missing, or there is one core: the attackers compute on any core.');
    const nothing = new Remote(new URL('../client/bare-process.js', import.meta.url));
    const control = Number(await nothing.call('listen', { answer: '{}' }));
    const times = scale.quick
      ? { quick: true, setUp: 4, alone: 0.5, attack: 1.5, warmUp: 300 }
      : { quick: false, setUp: 10, alone: 2, attack: 7, warmUp: 2000 };
    /** @type {Part[]} */
    const alone = [];
    const rows = [];
    for (const attack of ATTACKS) {
      if (attacks.length > 0 && !attacks.includes(attack.name)) continue;
      const missing = attack.missing?.();
      if (missing !== undefined) {
        note(`${attack.name} is left out: ${missing}.`);
        continue;
      }
      const target = await StoredTarget.filledFor(attack, scale.quick);
      const { connections = CONNECTIONS } = attack;
      for (const count of scale.quick ? connections.slice(-1) : connections) {
        const outcome = await besiege(attack, count, target, times, { control, core });
        const line = count === 0 ? attack.name : `${attack.name}, by ${count}`;
        progress(`${line}: ${outcomeText(outcome)}`);
        rows.push(...rowsOf(line, outcome));
        // A slow disk is a different load.
        if (attack.hinder === undefined) alone.push(...outcome.alone);
      }
      target.remove();
    }
    await nothing.stop();
    note(
      `The load alone, of ${alone.length} times: ${spreadText(alone, 'publish')}, ${spreadText(alone, 'health')}.`,
    );
    return rows;
  },
};

/**
 * @param {string} line
 * @param {import('../hostile/siege.js').Outcome} outcome
 * @returns {Row[]}
 */
function rowsOf(line, { alone, attacked, streams, ended, tally }) {
  const failed = [attacked.publish, attacked.health].reduce((sum, { failures }) => sum + failures.length, 0);
  const quiet = p99(alone, 'health');
  const health = p99([attacked], 'health');
  const floor = p99([attacked], 'control');
  const before = alone[0]?.peakBytes ?? NaN;
  const unlessEnded = (/** @type {number} */ figure) => (ended ? 'the service ended' : figure);
  return [
    {
      ...{ name: 'publish p99', unit: 'ms', figure: p99([attacked], 'publish') },
      ...{ against: 'alone', other: p99(alone, 'publish'), floor },
      target: { of: 'ratio', atMost: RATIO },
    },
    {
      ...{ name: '/healthz p99', unit: 'ms', figure: health, against: 'alone', other: quiet, floor },
      target: { of: 'figure', atMost: HEALTH_MILLISECONDS },
    },
    {
      name: '/healthz, of alone',
      unit: '×',
      figure: health / quiet,
      target: { of: 'figure', atMost: RATIO },
    },
    {
      ...{ name: '/healthz p99 in CPU time', unit: 'ms', figure: p99([attacked], 'health', 'computed') },
      target: { of: 'figure', atMost: HEALTH_MILLISECONDS },
    },
    { name: 'control p99', unit: 'ms', figure: floor },
    {
      ...{ name: 'memory over alone', unit: 'MB', figure: unlessEnded((attacked.peakBytes - before) / 1e6) },
      target: { of: 'figure', atMost: MEGABYTES },
    },
    { name: 'CPU', unit: 'cores', figure: attacked.cores, against: 'alone', other: alone[0]?.cores },
    { name: 'requests failed', unit: 'honest ones', figure: failed, target: { of: 'figure', atMost: 0 } },
    {
      name: 'streams not exact',
      unit: 'of 200',
      figure: streams.length,
      target: { of: 'figure', atMost: 0 },
    },
    { name: 'sent', unit: 'hostile requests', figure: tally.sent },
  ].map((row) => /** @type {Row} */ ({ ...row, line }));
}

/** @param {import('../hostile/siege.js').Outcome} outcome */
function outcomeText({ alone, attacked, streams, ended, tally }) {
  const reasons = new Set([...attacked.publish.failures, ...attacked.health.failures, ...streams]);
  return [
    `publish p99 ${figureText(p99([attacked], 'publish'))} ms, alone ${figureText(p99(alone, 'publish'))} ms`,
    `${tally.sent} hostile requests, answered ${JSON.stringify(tally.answers)}`,
    ...(ended ? ['the service ended'] : []),
    ...[...reasons].slice(0, 3).map((reason) => reason.split('\r\n')[0]),
  ].join('; ');
}

/**
 * @param {readonly Part[]} parts
 * @param {'publish' | 'health'} what
 */
function spreadText(parts, what) {
  const each = parts.map((part) => p99([part], what)).sort((one, other) => one - other);
  const [least = NaN, middle = NaN, most = NaN] = [each[0], each[each.length >> 1], each.at(-1)];
  return `${what} p99 ${figureText(middle)} ms (${figureText(least)} to ${figureText(most)})`;
}

/** @returns {number | undefined} the last core, if a process can be kept on it and there is another one */
function attackersCore() {
  const cores = availableParallelism();
  return cores > 1 && spawnSync('taskset', ['--version']).error === undefined ? cores - 1 : undefined;
}
