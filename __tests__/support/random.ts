/** Chance that can be repeated: a test that fails names its seed, and `TEST_SEED` plays it again. */

export class Random {
  readonly seed: number;
  #state: number;

  constructor(seed: number) {
    this.seed = seed;
    this.#state = seed;
  }

  /** From 0 up to, not including, 1 (mulberry32). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let bits = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61);
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32;
  }

  /** A whole number from `least` to `most`. */
  integer(least: number, most: number): number {
    return least + Math.floor(this.next() * (most - least + 1));
  }

  /** One of several. */
  pick<T>(values: readonly T[]): T {
    return values[this.integer(0, values.length - 1)] as T;
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }
}

/**
 * Returns the seeds that a suite plays: the one in `TEST_SEED` if that is set, else all of `seeds`. CI plays the first `inCi`.
 */
export function seedsOf(seeds: readonly number[], inCi: number): readonly number[] {
  const given = process.env['TEST_SEED'];
  if (given !== undefined) return [Number(given)];
  return process.env['CI'] === 'true' ? seeds.slice(0, inCi) : seeds;
}

/** Runs a test with chance; where it fails the error begins with the seed. */
export async function withRandom(run: (random: Random) => Promise<void>): Promise<void> {
  const given = process.env['TEST_SEED'];
  const random = new Random(given === undefined ? Math.floor(Math.random() * 2 ** 32) : Number(given));
  try {
    await run(random);
  } catch (error) {
    if (error instanceof Error) error.message = `TEST_SEED=${random.seed}: ${error.message}`;
    throw error;
  }
}
