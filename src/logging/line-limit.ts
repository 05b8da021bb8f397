/** So many lines of a kind are written at once, */
const BURST = 10;

/** and after these one in this time. */
const PAUSE_MILLISECONDS = 1000;

/** Writes a line that says how many lines of its kind were left out before it. */
export type WriteLine = (unlogged: number) => void;

interface Kind {
  /** How many lines may be written at once, as of `at`. */
  room: number;
  at: number;
  /** The newest line that had no room, and how many had none before it. */
  held: WriteLine | undefined;
  unlogged: number;
}

/**
 * Bounds how many lines of a kind are written: a full disk, or one client that asks for it, can cause thousands a second.
 * Of those that are left out the newest is written a second later, with their number.
 */
export class LineLimit {
  /** By the message of the line, which is a constant of the program. */
  readonly #kinds = new Map<string, Kind>();

  /** Writes a line of a kind now, later, or never. */
  pass(name: string, write: WriteLine): void {
    const kind = this.#kindOf(name);
    if (kind.held === undefined && kind.room >= 1) {
      kind.room--;
      write(0);
      return;
    }
    if (kind.held === undefined) setTimeout(() => this.#writeHeld(kind), PAUSE_MILLISECONDS).unref();
    else kind.unlogged++;
    kind.held = write;
  }

  /** Writes the lines that are held back: for the end of the process. */
  flush(): void {
    for (const kind of this.#kinds.values()) this.#writeHeld(kind);
  }

  #writeHeld(kind: Kind): void {
    const { held, unlogged } = kind;
    kind.held = undefined;
    kind.unlogged = 0;
    kind.room = 0;
    kind.at = performance.now();
    held?.(unlogged);
  }

  #kindOf(name: string): Kind {
    const now = performance.now();
    let kind = this.#kinds.get(name);
    if (kind === undefined) {
      kind = { room: BURST, at: now, held: undefined, unlogged: 0 };
      this.#kinds.set(name, kind);
    }
    kind.room = Math.min(BURST, kind.room + (now - kind.at) / PAUSE_MILLISECONDS);
    kind.at = now;
    return kind;
  }
}
