import type { Database } from 'better-sqlite3';
import { CountRetention } from './count-retention.ts';
import { preparePurge, type Purge } from './purge.ts';
import { LATE_MILLISECONDS, type RetentionTime } from './retention-clock.ts';
import type { UpkeepTask } from './upkeep.ts';

/** How long messages are kept, and how many; 0 keeps all. */
export interface RetentionRule {
  readonly days: number;
  /** For one recipient; read markers that stand are kept as well. */
  readonly messages: number;
}

/** Messages that are purged at once: between two of these it is seen whether a step has taken long enough. */
const PURGE_ROWS = 20;

const DAY = 86_400_000;

/** Decides what to purge next: what has expired, what is too old, and what a recipient has too many. */
export class Retention {
  readonly tasks: readonly UpkeepTask[];
  /** Counts what recipients have; `undefined` if the rule sets no limit. */
  readonly counts: CountRetention | undefined;
  /** Messages that were purged. */
  purged = 0;
  readonly #expiry: Expiry;
  readonly #age: Age | undefined;

  constructor(database: Database, rule: RetentionRule) {
    const purge = preparePurge(database, (id, recipient) => {
      this.purged++;
      this.counts?.removed(id, recipient);
    });
    this.counts = rule.messages === 0 ? undefined : new CountRetention(database, rule.messages, purge);
    this.#expiry = new Expiry(purge);
    this.#age = rule.days === 0 ? undefined : new Age(purge, rule.days);
    this.tasks = [this.#expiry, this.#age, this.counts].filter((task) => task !== undefined);
  }

  /** Time has passed: what has expired or aged since is looked for again. Call it about once a second. */
  tick(): void {
    this.#expiry.isDue = true;
    if (this.#age !== undefined) this.#age.isDue = true;
    this.counts?.tick();
  }
}

/** Purges what has expired. */
class Expiry implements UpkeepTask {
  isDue = true;
  readonly #purge: Purge;
  /** Of those stored since the clock was set forward, all that had expired by then are purged. */
  #purgedThrough = -Infinity;

  constructor(purge: Purge) {
    this.#purge = purge;
  }

  run({ held, shown, shownFrom }: RetentionTime): number {
    const limit = PURGE_ROWS;
    const { messages, more } = this.#purge({ kind: 'expired', now: held, limit });
    if (more) return messages;
    // The clock was set back.
    if (shown < this.#purgedThrough) this.#purgedThrough = -Infinity;
    // Messages that are held back lie in this range too: each is passed over for a minute.
    const expiredAfter = Math.max(held, this.#purgedThrough - LATE_MILLISECONDS);
    const late = this.#purge({ kind: 'expired', now: shown, expiredAfter, from: shownFrom, limit });
    this.isDue = late.more;
    if (!late.more) this.#purgedThrough = shown;
    return messages + late.messages;
  }
}

/** Purges what is too old: a scan from the oldest message to the first that is young enough. */
class Age implements UpkeepTask {
  isDue = true;
  readonly #purge: Purge;
  readonly #days: number;
  #scanned = 0;
  /** When the scan begins at the oldest again: what it passed over (a read marker, say) may be due by then. */
  #scanAgain = 0;

  constructor(purge: Purge, days: number) {
    this.#purge = purge;
    this.#days = days;
  }

  run({ held: now }: RetentionTime): number {
    const createdBefore = now - this.#days * DAY;
    if (now >= this.#scanAgain) {
      this.#scanAgain = now + DAY;
      this.#scanned = 0;
    }
    const bound = { now, after: this.#scanned, createdBefore, limit: PURGE_ROWS };
    const { through, more } = this.#purge({ kind: 'aged', ...bound });
    this.#scanned = Math.max(this.#scanned, through);
    this.isDue = more;
    return PURGE_ROWS;
  }
}
