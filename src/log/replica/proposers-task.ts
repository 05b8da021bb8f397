import type { Database } from 'better-sqlite3';
import type { RetentionTime } from './retention-clock.ts';
import type { ProposePurge, UpkeepTask } from './upkeep-task.ts';

const HOUR = 3_600_000;

/**
 * The time for which counters are kept. A later copy of an entry would go undetected, but copies come within seconds.
 */
const KEPT_MILLISECONDS = 24 * HOUR;

const ROWS = 500;

/**
 * The task that forgets the counters of proposers that have proposed nothing for a day. Each start of a process uses
 * new ones.
 */
export class ProposersTask implements UpkeepTask {
  isDue = true;
  readonly #clock: () => number;
  readonly #purge: ProposePurge;
  readonly #isOld: (before: number) => boolean;
  #lookedAt = 0;

  /** @param clock returns the milliseconds of a monotonic clock */
  constructor(database: Database, clock: () => number, purge: ProposePurge) {
    this.#clock = clock;
    this.#purge = purge;
    const old = database.prepare<[number], number>('SELECT 1 FROM proposers WHERE time < ? LIMIT 1').pluck();
    this.#isOld = (before) => old.get(before) !== undefined;
  }

  tick(): void {
    this.isDue ||= this.#clock() - this.#lookedAt >= HOUR;
  }

  run({ held: now }: RetentionTime): number {
    this.#lookedAt = this.#clock();
    this.isDue = false;
    if (this.#isOld(now - KEPT_MILLISECONDS))
      this.isDue = this.#purge({ by: 'proposers', now, age: KEPT_MILLISECONDS, limit: ROWS }).more;
    return 1;
  }
}
