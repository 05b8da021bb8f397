/**
 * A position in the log, with the epoch in which its id was given: `42-k3f9`. The beginning, which belongs to no epoch, is
 * `0`. A bare `42`, as a person may type it, is accepted too.
 */
export interface Cursor {
  readonly id: number;
  /** `undefined` in a bare number. */
  readonly epoch: string | undefined;
}

/** Why a replay from a cursor cannot be complete: the values of `gap`. */
export const GAPS = [false, 'purged', 'restored', 'unknown'] as const;

export type Gap = (typeof GAPS)[number];

/** A range of ids in one history of the log: from `firstId` up to the first id of the next epoch. */
export interface Epoch {
  readonly firstId: number;
  readonly epoch: string;
}

const CURSOR_PATTERN = /^(\d{1,16})(?:-([0-9a-z]{1,16}))?$/;
const EPOCH_LENGTH = 6;

/** Reads a cursor. Returns `undefined` if the text is not one. */
export function parseCursor(text: string): Cursor | undefined {
  const match = CURSOR_PATTERN.exec(text);
  if (match === null) return undefined;
  const id = Number(match[1]);
  return Number.isSafeInteger(id) ? { id, epoch: match[2] } : undefined;
}

/** Returns the name of a new epoch: random letters and digits. */
export function newEpoch(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(EPOCH_LENGTH)), (byte) =>
    (byte % 36).toString(36),
  ).join('');
}

/** The epochs of a log: they tell whether a cursor comes from this log or from another history of it. */
export class Epochs {
  /** In the order of `firstId`. */
  readonly #epochs: Epoch[];
  /** The highest position for which a cursor was given. */
  #given = 0;

  /** @param epochs those on record, in the order of `firstId` */
  constructor(epochs: readonly Epoch[]) {
    this.#epochs = [...epochs];
  }

  /**
   * Begins an epoch. If another one begins at the same id, no id was given in it, and it is replaced. Does nothing if it has
   * begun before.
   */
  begin(epoch: Epoch): void {
    const newest = this.#epochs.at(-1);
    if (newest !== undefined && newest.firstId > epoch.firstId) return;
    if (newest?.firstId === epoch.firstId) this.#epochs.pop();
    this.#epochs.push(epoch);
  }

  /** Returns the cursor of a position. It is known from then on. */
  format(id: number): string {
    if (id > this.#given) this.#given = id;
    const epoch = this.#epochOf(id);
    return epoch === undefined ? String(id) : `${id}-${epoch}`;
  }

  /**
   * Returns whether a cursor points into this log: it is not ahead of the head, unless a cursor of that position was
   * given, and its id belongs to the epoch that it names. Conversations are read through what is committed, which may
   * be handed on a little later.
   *
   * @param head the highest id that was handed on
   */
  knows(cursor: Cursor, head: number): boolean {
    if (cursor.id > Math.max(head, this.#given)) return false;
    return cursor.epoch === undefined || cursor.epoch === this.#epochOf(cursor.id);
  }

  #epochOf(id: number): string | undefined {
    const last = this.#epochs.at(-1);
    if (last === undefined || id >= last.firstId) return last?.epoch;
    // The last epoch that began at or before the id.
    let low = 0;
    let high = this.#epochs.length - 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#epochs[middle] as Epoch).firstId <= id) low = middle + 1;
      else high = middle;
    }
    return this.#epochs[low - 1]?.epoch;
  }
}
