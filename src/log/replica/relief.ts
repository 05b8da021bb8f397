import type { Database } from 'better-sqlite3';
import type { Upkeep, UpkeepStep } from './upkeep.ts';
import type { WriteGate } from './write-gate.ts';

/** The number of pages freed in a step. It is small, since a step has no more room than the reserve. */
const VACUUM_PAGES = 128;

const NOTHING: UpkeepStep = { purged: 0, logTime: undefined, more: false };

/**
 * Makes a log writable again, step by step. On a full disk the write-ahead log is stuck: it cannot be checkpointed into
 * a database that cannot grow, so not even a purge can be written. Releasing the reserve makes room for both.
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
   * Does one step: purges due messages, returns their space to the disk, and opens the gate if there is enough room.
   *
   * @param now milliseconds since the Unix epoch
   * @throws SQLite's error if that fails; then the gate stays closed
   */
  step(now: number): UpkeepStep {
    // Writes to a file that has been moved away would be lost.
    if (!this.#gate.isInPlace) return NOTHING;
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
    if (!emptyWal(this.#database)) return NOTHING;
    const { more, ...done } = this.#upkeep.purge(now);
    const free = this.#database.pragma('freelist_count', { simple: true }) as number;
    if (free > 0) this.#database.pragma(`incremental_vacuum(${VACUUM_PAGES})`);
    emptyWal(this.#database);
    return { ...done, more: more || free > VACUUM_PAGES };
  }
}

/**
 * Checkpoints the write-ahead log into the database and truncates it.
 *
 * @returns whether it is empty; `false` if a reader still needs it
 * @throws SQLite's error, for example on a full disk
 */
export function emptyWal(database: Database): boolean {
  const [result] = database.pragma('wal_checkpoint(TRUNCATE)') as { busy: number }[];
  return result?.busy === 0;
}
