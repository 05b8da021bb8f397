import type { Database } from 'better-sqlite3';
import type { Budget } from './budget.ts';

/**
 * Pages are returned to the file system once more than this fraction of the file, and more than this many pages, are
 * free.
 */
const FREE_PART = 0.2;
const MIN_FREE_PAGES = 256;
/** The number of pages returned at once. */
const VACUUM_PAGES = 16;

/** The return of free pages to the file system, a few at a time. */
export class Vacuum {
  /** Whether there may be pages to return. */
  isDue = true;
  readonly #database: Database;
  /** Whether pages were freed, but the file is not truncated yet. */
  #isLongerThanItsPages = false;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Returns some free pages. After the last of them it checkpoints, since only that truncates the file. */
  run(budget: Budget): void {
    const pages = this.#database.pragma('page_count', { simple: true }) as number;
    const free = this.#database.pragma('freelist_count', { simple: true }) as number;
    this.isDue = free > MIN_FREE_PAGES && free > pages * FREE_PART;
    if (this.isDue) {
      this.#isLongerThanItsPages = true;
      for (let left = free; left > MIN_FREE_PAGES && !budget.isSpent; left -= VACUUM_PAGES) {
        this.#database.pragma(`incremental_vacuum(${VACUUM_PAGES})`);
      }
    } else if (this.#isLongerThanItsPages) {
      // Pages that a reader still needs stay in the write-ahead log until the next time.
      const [result] = this.#database.pragma('wal_checkpoint(PASSIVE)') as Checkpoint[];
      this.#isLongerThanItsPages = result === undefined || result.checkpointed < result.log;
    }
  }
}

/** The number of pages in the write-ahead log, and how many of them have been copied into the database. */
interface Checkpoint {
  readonly log: number;
  readonly checkpointed: number;
}
