import type { Database } from 'better-sqlite3';
import type { Retention } from '../retention.ts';
import { CountRetention } from './count-retention.ts';
import { LATE_MILLISECONDS, type RetentionTime } from './retention-clock.ts';
import type { ProposePurge, UpkeepTask } from './upkeep-task.ts';

/** The number of messages that an entry of the local order purges. A step checks its time after each entry. */
const PURGE_ROWS = 20;

const DAY = 86_400_000;

/**
 * The tasks of retention. They propose purges of expired messages, of old messages, and of each recipient's surplus.
 */
export class RetentionTasks {
  readonly tasks: readonly UpkeepTask[];
  /** The retention by count; `undefined` if there is no limit. */
  readonly counts: CountRetention | undefined;
  /** The number of purged messages. */
  purged = 0;
  readonly #expiry: Expiry;
  readonly #age: Age | undefined;

  /** @param rows the number of messages that one purge examines */
  constructor(database: Database, retention: Retention, purge: ProposePurge, rows = PURGE_ROWS) {
    const { days, messages } = retention;
    this.counts = messages === 0 ? undefined : new CountRetention(database, messages, purge, rows);
    this.#expiry = new Expiry(purge, rows);
    this.#age = days === 0 ? undefined : new Age(purge, days, rows);
    this.tasks = [this.#expiry, this.#age, this.counts].filter((task) => task !== undefined);
  }

  /** Notes that a purge has removed a message. */
  removed(id: number, recipient: string): void {
    this.purged++;
    this.counts?.removed(id, recipient);
  }

  /** Forgets what was purged and counted, since the transaction was rolled back. */
  undone(): void {
    this.counts?.recount();
    this.#expiry.restart();
    this.#age?.restart();
  }

  /** Makes the tasks due again. Call it about once a second. */
  tick(): void {
    this.#expiry.isDue = true;
    if (this.#age !== undefined) this.#age.isDue = true;
    this.counts?.tick();
  }
}

/** The task that purges expired messages. */
class Expiry implements UpkeepTask {
  isDue = true;
  readonly #purge: ProposePurge;
  /** The time up to which expired messages stored since the clock was set forward are purged. */
  #purgedThrough = -Infinity;

  readonly #rows: number;

  constructor(purge: ProposePurge, rows: number) {
    this.#purge = purge;
    this.#rows = rows;
  }

  /** Makes the task examine all messages again. */
  restart(): void {
    this.isDue = true;
    this.#purgedThrough = -Infinity;
  }

  run({ held, shown, shownFrom }: RetentionTime): number {
    const limit = this.#rows;
    const { messages, more } = this.#purge({ by: 'expiry', now: held, limit });
    if (more) return messages;
    // The clock was set back.
    if (shown < this.#purgedThrough) this.#purgedThrough = -Infinity;
    // This range also contains messages that go by `held`. Each is skipped for a minute.
    const expiredAfter = Math.max(held, this.#purgedThrough - LATE_MILLISECONDS);
    const late = this.#purge({ by: 'expiry', now: shown, expiredAfter, from: shownFrom, limit });
    this.isDue = late.more;
    if (!late.more) this.#purgedThrough = shown;
    return messages + late.messages;
  }
}

/** The task that purges old messages. It scans from the oldest message to the first that is young enough. */
class Age implements UpkeepTask {
  isDue = true;
  readonly #purge: ProposePurge;
  readonly #days: number;
  readonly #rows: number;
  #scanned = 0;
  /** The time at which the scan restarts. A message that it skipped, such as a read marker, may be due by then. */
  #scanAgain = 0;

  constructor(purge: ProposePurge, days: number, rows: number) {
    this.#purge = purge;
    this.#days = days;
    this.#rows = rows;
  }

  /** Makes the task examine all messages again. */
  restart(): void {
    this.isDue = true;
    this.#scanned = 0;
  }

  run({ held: now }: RetentionTime): number {
    if (now >= this.#scanAgain) {
      this.#scanAgain = now + DAY;
      this.#scanned = 0;
    }
    const bound = { now, after: this.#scanned, age: this.#days * DAY, limit: this.#rows };
    const { through, more } = this.#purge({ by: 'age', ...bound });
    this.#scanned = Math.max(this.#scanned, through);
    this.isDue = more;
    return this.#rows;
  }
}
