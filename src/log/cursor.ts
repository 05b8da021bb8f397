/**
 * A cursor: a position in the log, with the tag of the server run that gave that position's id, `42-k3f9`. The
 * beginning, which no run gave, is `0`. A bare `42` is taken as well.
 */
export interface Cursor {
  readonly id: number;
  /** `undefined` where a person typed a bare number. */
  readonly tag: string | undefined;
}

/** Why a replay from a cursor cannot be whole, as it stands in `gap`. */
export type Gap = false | 'purged' | 'restored' | 'unknown';

/** One run of the server: it gave the ids from `firstId` up to the next run's. */
export interface Run {
  readonly firstId: number;
  readonly tag: string;
}

const CURSOR_PATTERN = /^(\d{1,16})(?:-([0-9a-z]{1,16}))?$/;
const TAG_LENGTH = 6;

/**
 * Reads a cursor.
 *
 * @returns `undefined` where the text is none
 */
export function parseCursor(text: string): Cursor | undefined {
  const match = CURSOR_PATTERN.exec(text);
  if (match === null) return undefined;
  const id = Number(match[1]);
  return Number.isSafeInteger(id) ? { id, tag: match[2] } : undefined;
}

/** A new run's tag: letters and digits, another for each start. */
export function newTag(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(TAG_LENGTH)), (byte) =>
    (byte % 36).toString(36),
  ).join('');
}

/** The runs of a log in order: which of them gave an id. */
export class Runs {
  readonly #earlier: readonly Run[];
  readonly #current: Run;
  /** The highest position of which a cursor was given. */
  #given = 0;

  /**
   * @param earlier the runs that the log has on record, in order of `firstId`
   * @param current this run: all ids from its `firstId` on are its own
   */
  constructor(earlier: readonly Run[], current: Run) {
    this.#earlier = earlier;
    this.#current = current;
  }

  /** Gives the cursor of a position, which is known from then on. */
  format(id: number): string {
    if (id > this.#given) this.#given = id;
    const tag = this.#tagOf(id);
    return tag === undefined ? String(id) : `${id}-${tag}`;
  }

  /**
   * Whether a cursor points into this log: not ahead of its head, unless one so far ahead was given, and into the range of
   * the run that it names. Conversations are read through what is committed, which may be handed on a little later.
   *
   * @param head the highest id that was handed on
   */
  knows(cursor: Cursor, head: number): boolean {
    if (cursor.id > Math.max(head, this.#given)) return false;
    return cursor.tag === undefined || cursor.tag === this.#tagOf(cursor.id);
  }

  #tagOf(id: number): string | undefined {
    if (id >= this.#current.firstId) return this.#current.tag;
    // The last run that began at or before the id.
    let low = 0;
    let high = this.#earlier.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#earlier[middle] as Run).firstId <= id) low = middle + 1;
      else high = middle;
    }
    return this.#earlier[low - 1]?.tag;
  }
}
