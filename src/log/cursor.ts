/**
 * A position in the log, with the epoch that its id was assigned in: `42-k3f9`. The beginning, which belongs to no
 * epoch, is `0`. A bare `42`, as a person may type it, is accepted too.
 */
export interface Cursor {
  readonly id: number;
  /** `undefined` if the cursor is a bare number. */
  readonly epoch: string | undefined;
}

/** The values of `gap`: the reasons why a replay from a cursor cannot be complete. */
export const GAPS = [false, 'purged', 'restored', 'unknown'] as const;

export type Gap = (typeof GAPS)[number];

/** A range of ids in one history of the log: from `firstId` to just before the first id of the next epoch. */
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

/** The epochs of a log. They tell whether a cursor comes from this history of the log or from another one. */
export class Epochs {
  /** In the order of `firstId`. */
  readonly #epochs: Epoch[];
  /** The highest position that a cursor was issued for. */
  #given = 0;

  /** @param epochs the stored epochs, in the order of `firstId` */
  constructor(epochs: readonly Epoch[]) {
    this.#epochs = [...epochs];
  }

  /**
   * Begins an epoch. Replaces one that begins at the same id, since no id was assigned in it. Does nothing if a later
   * epoch has already begun.
   */
  begin(epoch: Epoch): void {
    const newest = this.#epochs.at(-1);
    if (newest !== undefined && newest.firstId > epoch.firstId) return;
    if (newest?.firstId === epoch.firstId) this.#epochs.pop();
    this.#epochs.push(epoch);
  }

  /** Returns the cursor of a position. From then on, `knows` accepts it. */
  format(id: number): string {
    if (id > this.#given) this.#given = id;
    const epoch = this.#epochOf(id);
    return epoch === undefined ? String(id) : `${id}-${epoch}`;
  }

  /**
   * Returns whether a cursor points into this log: its id belongs to the epoch that it names, and is not above the head
   * or, if that is higher, the last position that a cursor was issued for. It can be higher, since conversations
   * include committed messages that are delivered slightly later.
   *
   * @param head the id of the newest message passed to the listeners
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
