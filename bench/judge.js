import { FELL_SHORT, figureText } from './samples.js';

/** @typedef {import('./case.js').Row} Row */
/** @typedef {import('./case.js').Target} Target */

/** From this part of the load client's ceiling on, a figure says more about the client. */
const CLIENT_BOUND = 0.75;

/**
 * @param {Row} row
 * @returns {number | undefined} this figure divided by the other one, if there are both
 */
export function ratioOf({ figure, other }) {
  return typeof figure === 'number' && typeof other === 'number' ? figure / other : undefined;
}

/**
 * @param {Row} row
 * @returns {boolean | undefined} `undefined` if there is no target, or nothing to compare with
 */
export function isReached(row) {
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
export function isClientBound({ figure, ceiling = Infinity, floor = -Infinity }) {
  return typeof figure === 'number' && (figure >= ceiling * CLIENT_BOUND || figure * CLIENT_BOUND < floor);
}

/** @param {Target} target */
export function targetText(target) {
  const bound = 'atLeast' in target ? `≥ ${figureText(target.atLeast)}` : `≤ ${figureText(target.atMost)}`;
  return target.of === 'ratio' ? `${bound} ×` : bound;
}
