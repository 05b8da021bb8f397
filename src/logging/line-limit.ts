/** This many lines of a kind are written at once. */
const BURST = 10;

/** After a burst, one line is written in each interval of this length. */
const PAUSE_MILLISECONDS = 1000;

/** Writes a line, with the number of lines of its kind that were left out before it. */
export type WriteLine = (unlogged: number) => void;

interface Kind {
  /** The number of lines that may be written at once, as of `at`. */
  room: number;
  at: number;
  /** The newest line over the limit, and the number of those before it. */
  held: WriteLine | undefined;
  unlogged: number;
}

/**
 * A rate limit on lines of a kind: a full disk or a single malicious client can cause thousands a second. Of the lines
 * over the limit, only the newest is written, a second later, with the number of the others.
 */
export class LineLimit {
  /** Kinds by the message of the line, which is a constant of the program. */
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

  /** Writes the lines that are held back, at the end of the process. */
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
