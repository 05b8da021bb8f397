import type { Database } from 'better-sqlite3';
import type { Upkeep, UpkeepStep } from './upkeep.ts';
import type { WriteGate } from './write-gate.ts';

/** A step is small, since it has no more room than the reserve. */
const VACUUM_PAGES = 128;

/**
 * Brings a log that is not written back to where it can be. On a full disk the write-ahead log is stuck: it cannot be
 * folded into a database that cannot grow, so that not even a purge can be written. With the room of the reserve it can.
 */
export class Relief {
  readonly #database: Database;
  readonly #upkeep: Pick<Upkeep, 'purge'>;
  readonly #gate: WriteGate;
  readonly #touch: () => void;

  /** @param touch a transaction that changes something */
  constructor(database: Database, upkeep: Pick<Upkeep, 'purge'>, gate: WriteGate, touch: () => void) {
    this.#database = database;
    this.#upkeep = upkeep;
    this.#gate = gate;
    this.#touch = touch;
  }

  /**
   * Does one step: purges what retention has due, gives its room back to the disk, and opens the gate if there is enough.
   *
   * @param now milliseconds since the Unix epoch
   * @throws what SQLite throws if that fails: then the gate stays closed
   */
  step(now: number): UpkeepStep {
    // What is written to a file that is no longer in its place is lost.
    if (!this.#gate.isInPlace) return { purged: 0, more: false };
    let done: UpkeepStep;
    try {
      done = this.#makeRoom(now);
    } catch (error) {
      if (this.#gate.reserve.size === 0) throw error;
      this.#gate.reserve.release();
      done = this.#makeRoom(now);
    }
    this.#gate.reopen(this.#touch);
    return done;
  }

  #makeRoom(now: number): UpkeepStep {
    if (!emptyWal(this.#database)) return { purged: 0, more: false };
    const { purged, more } = this.#upkeep.purge(now);
    const free = this.#database.pragma('freelist_count', { simple: true }) as number;
    if (free > 0) this.#database.pragma(`incremental_vacuum(${VACUUM_PAGES})`);
    emptyWal(this.#database);
    return { purged, more: more || free > VACUUM_PAGES };
  }
}

/**
 * Folds the write-ahead log into the database, and makes its file empty.
 *
 * @returns whether it is empty: not if somebody still reads what is in it
 * @throws what SQLite throws, as on a full disk
 */
export function emptyWal(database: Database): boolean {
  const [result] = database.pragma('wal_checkpoint(TRUNCATE)') as { busy: number }[];
  return result?.busy === 0;
}
