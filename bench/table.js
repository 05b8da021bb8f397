import { mkdirSync, writeFileSync } from 'node:fs';
import { FELL_SHORT, figureText } from './samples.js';

/** @typedef {import('./case.js').Row} Row */
/** @typedef {import('./case.js').Target} Target */

/** A figure from here on, as a part of what the load client can do, says more of the client. */
const CLIENT_BOUND = 0.75;

/**
 * Writes the results: `results.md` and `results.json`.
 *
 * @param {URL} folder
 * @param {{ head: Readonly<Record<string, string>>, rows: readonly Row[], foot: readonly string[] }} results
 * @returns {string} the table in Markdown
 */
export function writeResults(folder, { head, rows, foot }) {
  const judged = rows.map((row) => ({
    ...row,
    ratio: ratioOf(row),
    reached: isReached(row),
    clientBound: isClientBound(row),
  }));
  mkdirSync(folder, { recursive: true });
  writeFileSync(
    new URL('results.json', folder),
    `${JSON.stringify({ ...head, rows: judged, foot }, null, 2)}\n`,
  );
  const table = markdown(head, rows, foot);
  writeFileSync(new URL('results.md', folder), table);
  return table;
}

/**
 * @param {Readonly<Record<string, string>>} head
 * @param {readonly Row[]} rows
 * @param {readonly string[]} foot
 */
function markdown(head, rows, foot) {
  const facts = Object.entries(head).map(([name, value]) => `${name}: ${value}`);
  const lines = rows.map((row, index) => {
    const { name, unit, figure, against, other, target } = row;
    const same = rows[index - 1]?.name === name;
    const ratio = ratioOf(row);
    const reached = isReached(row);
    return [
      same ? '' : `${name} (${unit})`,
      same ? '' : `${figureText(figure)}${isClientBound(row) ? ', client-bound' : ''}`,
      against === undefined ? '' : `${against}: ${figureText(other ?? '')}`,
      ratio === undefined ? '' : `${figureText(ratio)} ×`,
      target === undefined ? '' : targetText(target),
      reached === undefined ? '' : reached ? 'yes' : 'no',
    ];
  });
  const cells = [
    ['case', 'Tidings', 'compared with', 'ratio', 'target', 'reached'],
    Array(6).fill('---'),
    ...lines,
  ];
  const table = cells.map((line) => `| ${line.join(' | ')} |\n`).join('');
  return `${facts.join('; ')}\n\n${table}\n${foot.map((line) => `- ${line}\n`).join('')}`;
}

/**
 * @param {Row} row
 * @returns {number | undefined} how many times the other figure this one is, where there are both
 */
function ratioOf({ figure, other }) {
  return typeof figure === 'number' && typeof other === 'number' ? figure / other : undefined;
}

/**
 * @param {Row} row
 * @returns {boolean | undefined} nothing where there is no target, or nothing to compare with
 */
function isReached(row) {
  const { figure, other, target } = row;
  if (target === undefined) return undefined;
  const otherFellShort = typeof other === 'string' && other.startsWith(FELL_SHORT);
  if (typeof figure === 'string') return otherFellShort ? undefined : false;
  if (target.of === 'figure') return holds(target, figure);
  if (otherFellShort) return true;
  const ratio = ratioOf(row);
  return ratio === undefined ? undefined : holds(target, ratio);
}

/**
 * @param {Target} target
 * @param {number} value
 */
function holds(target, value) {
  return 'atLeast' in target ? value >= target.atLeast : value <= target.atMost;
}

/** @param {Row} row */
function isClientBound({ figure, ceiling }) {
  return ceiling !== undefined && typeof figure === 'number' && figure >= ceiling * CLIENT_BOUND;
}

/** @param {Target} target */
function targetText(target) {
  const bound = 'atLeast' in target ? `≥ ${figureText(target.atLeast)}` : `≤ ${figureText(target.atMost)}`;
  return target.of === 'ratio' ? `${bound} ×` : bound;
}
