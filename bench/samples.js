/** @typedef {import('./case.js').Figure} Figure */
/** @typedef {import('./case.js').Target} Target */

/** The beginning of the figure of a server that could not keep up. */
export const FELL_SHORT = 'reached ';

/** The figures of several runs, by measurement and by server. */
export class Samples {
  #progress;
  /** @type {Map<string, Figure[]>} */
  #figures = new Map();

  /** @param {(line: string) => void} progress gets a line for each addition */
  constructor(progress) {
    this.#progress = progress;
  }

  /**
   * @param {string} what
   * @param {string} whose
   * @param {readonly Figure[]} figures
   */
  add(what, whose, ...figures) {
    const key = `${what}\n${whose}`;
    this.#figures.set(key, [...(this.#figures.get(key) ?? []), ...figures]);
    this.#progress(`${what}, ${whose}: ${figureText(median(figures))}`);
  }

  /**
   * @param {string} what
   * @param {string} whose
   * @returns {Figure} the median; if one was refused, the reason
   */
  median(what, whose) {
    return median(this.#figures.get(`${what}\n${whose}`) ?? []);
  }

  /**
   * Returns rows that compare the first of the peers with each of the others; one row if there is no other.
   *
   * @param {string} what
   * @param {string} unit
   * @param {readonly { name: string }[]} peers
   * @param {{ target?: Target, targets?: Readonly<Record<string, Target>>, ceiling?: number }} [more] `target` is for
   *   the first figure alone; `targets` are for the comparisons, by the name of the peer
   * @returns {import('./case.js').Row[]}
   */
  rows(what, unit, [own, ...others], { target, targets = {}, ...more } = {}) {
    const row = { name: what, unit, figure: this.median(what, own?.name ?? ''), ...more };
    const alone = target === undefined ? row : { ...row, target };
    if (others.length === 0) return [alone];
    return others.map(({ name }, index) => {
      const compared = { ...(index === 0 ? alone : row), against: name, other: this.median(what, name) };
      const ratio = targets[name];
      return ratio === undefined ? compared : { ...compared, target: ratio };
    });
  }
}

/**
 * @param {readonly Figure[]} figures
 * @returns {Figure} the median, with figures that fell short after all numbers; if one was refused, the reason
 */
function median(figures) {
  const refused = figures.find((figure) => typeof figure === 'string' && !figure.startsWith(FELL_SHORT));
  if (refused !== undefined) return refused;
  const rank = (/** @type {Figure} */ figure) => (typeof figure === 'number' ? figure : Infinity);
  const sorted = figures.toSorted((one, other) => rank(one) - rank(other));
  return sorted[sorted.length >> 1] ?? NaN;
}

/**
 * @param {Figure} figure
 * @returns {string} the figure with three digits, as people write numbers
 */
export function figureText(figure) {
  return typeof figure === 'string' ? figure : Number(figure.toPrecision(3)).toLocaleString('en');
}
