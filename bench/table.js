import { mkdirSync, writeFileSync } from 'node:fs';
import { isClientBound, isReached, ratioOf, targetText } from './judge.js';
import { matrix } from './matrix.js';
import { figureText } from './samples.js';

/** @typedef {import('./case.js').Row} Row */

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
  const tables = [
    tableOf(rows.filter(({ line }) => line === undefined)),
    matrix(rows.filter(({ line }) => line !== undefined)),
  ];
  const end = foot.map((line) => `- ${line}\n`).join('');
  return [`${facts.join('; ')}\n`, ...tables.filter((table) => table !== ''), end].join('\n');
}

/**
 * @param {readonly Row[]} rows
 * @returns {string} nothing if there is none
 */
function tableOf(rows) {
  if (rows.length === 0) return '';
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
  return cells.map((line) => `| ${line.join(' | ')} |\n`).join('');
}
