/** @typedef {{ p50: number, p99: number }} Percentiles */

/**
 * @param {readonly number[]} times
 * @returns {Percentiles} NaN if there are no times
 */
export function percentiles(times) {
  const sorted = Float64Array.from(times).sort();
  const at = (/** @type {number} */ part) => sorted[Math.ceil(sorted.length * part) - 1] ?? NaN;
  return { p50: at(0.5), p99: at(0.99) };
}
