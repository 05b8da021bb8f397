/** @typedef {import('./case.js').Figure} Figure */
/** @typedef {import('./case.js').Target} Target */

/** What a figure says of a server that could not keep up begins so. */
export const FELL_SHORT = 'reached ';

/** Figures of several runs, by what was measured and of whom. */
export class Samples {
  #progress;
  /** @type {Map<string, Figure[]>} */
  #figures = new Map();

  /** @param {(line: string) => void} progress is told of what is added */
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
   * @returns {Figure} the middle one; where one was refused, why
   */
  median(what, whose) {
    return median(this.#figures.get(`${what}\n${whose}`) ?? []);
  }

  /**
   * The rows that compare the first of the peers with each of the others; one row where there is no other.
   *
   * @param {string} what
   * @param {string} unit
   * @param {readonly { name: string }[]} peers
   * @param {{ target?: Target, targets?: Readonly<Record<string, Target>>, ceiling?: number }} [more] `target` of the
   *   first figure alone; `targets` of what it is compared with, by name
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
 * @returns {Figure} the middle one, where what fell short is behind all numbers; where one was refused, why
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
 * @returns {string} three digits of it, as people write numbers
 */
export function figureText(figure) {
  return typeof figure === 'string' ? figure : Number(figure.toPrecision(3)).toLocaleString('en');
}
