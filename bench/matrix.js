import { isClientBound, isReached, ratioOf, targetText } from './judge.js';
import { figureText } from './samples.js';

/** @typedef {import('./case.js').Row} Row */

/**
 * Returns a table with one line for all rows of the same `line`, and a column for each name. A figure that misses its
 * target is bold.
 *
 * @param {readonly Row[]} rows
 * @returns {string} in Markdown; nothing if there is none
 */
export function matrix(rows) {
  if (rows.length === 0) return '';
  const names = [...new Set(rows.map(({ name }) => name))];
  const lines = [...new Set(rows.map(({ line = '' }) => line))];
  const cells = [
    ['', ...names.map((name) => headText(rows.find((row) => row.name === name))), 'reached'],
    Array(names.length + 2).fill('---'),
    ...lines.map((line) => {
      const own = rows.filter((row) => row.line === line);
      const reached = !own.some((row) => isReached(row) === false);
      return [
        line,
        ...names.map((name) => cellText(own.find((row) => row.name === name))),
        reached ? 'yes' : 'no',
      ];
    }),
  ];
  return cells.map((line) => `| ${line.join(' | ')} |\n`).join('');
}

/** @param {Row | undefined} row */
function headText(row) {
  if (row === undefined) return '';
  const { name, unit, target } = row;
  return `${name} (${unit})${target === undefined ? '' : `, ${targetText(target)}`}`;
}

/** @param {Row | undefined} row */
function cellText(row) {
  if (row === undefined) return '';
  const { figure, against, other } = row;
  const ratio = ratioOf(row);
  const text = isReached(row) === false ? `**${figureText(figure)}**` : figureText(figure);
  const compared = against === undefined || other === undefined ? '' : `, ${against} ${figureText(other)}`;
  const times = ratio === undefined ? '' : ` (${figureText(ratio)} ×)`;
  return `${text}${compared}${times}${isClientBound(row) ? ', client-bound' : ''}`;
}
