import type { Database } from 'better-sqlite3';
import type { Draft } from '../message.ts';
import { preparePurge, type PurgeEntry } from './purge.ts';

/** How long messages are kept, and how many; 0 keeps all. */
export interface RetentionRule {
  readonly days: number;
  /** For one recipient, to within `LOOK_EVERY`. */
  readonly messages: number;
}

/** A recipient's count is looked at again after this many of its messages. */
const LOOK_EVERY = 1000;

/** So many recipients are counted; past it the counts are dropped, and all recipients are looked at anew. */
const MOST_COUNTED = 100_000;

/** The search for the newest surplus message of a recipient passes over this many index entries in one step. */
const SKIP = 5000;

/** Looks for the id through which a recipient has too many messages: a walk back over its index, in steps. */
interface SurplusSearch {
  readonly recipient: string;
  before: number;
  toKeep: number;
}

const DAY = 86_400_000;

/**
 * Decides what to purge next, and purges it in small steps, so that publishing goes on between them. A scan by age and
 * one over all recipients begin with the process; after that recipients are looked at as they grow.
 */
export class Retention {
  readonly #rule: RetentionRule;
  readonly #purge: (entry: PurgeEntry) => { messages: number; through: number; more: boolean };
  readonly #nextRecipient: (after: string) => string | undefined;
  readonly #skipBack: (recipient: string, before: number, offset: number) => number | undefined;

  /** Messages of each recipient since it was last looked at. */
  readonly #growth = new Map<string, number>();
  readonly #toLookAt = new Set<string>();
  /** The recipient that the scan over all comes after; `undefined` when none is under way. */
  #scanned: string | undefined = '';
  #search: SurplusSearch | undefined;
  #surplus: { recipient: string; after: number; through: number } | undefined;
  #aged = 0;
  /** When the scan by age begins at the oldest again: what it passed over (a read marker, say) may be due by then. */
  #ageScanDue = 0;
  #expiryDue = true;
  #ageDue: boolean;

  constructor(database: Database, rule: RetentionRule) {
    this.#rule = rule;
    this.#ageDue = rule.days > 0;
    if (rule.messages === 0) this.#scanned = undefined;
    const purge = preparePurge(database);
    this.#purge = database.transaction((entry: PurgeEntry) => purge(entry));
    const nextRecipient = database
      .prepare<[string], string | null>('SELECT min(recipient) FROM messages WHERE recipient > ?')
      .pluck();
    this.#nextRecipient = (after) => nextRecipient.get(after) ?? undefined;
    const skipBack = database
      .prepare<[string, number, number], number>(
        'SELECT id FROM messages WHERE recipient = ? AND id < ? ORDER BY id DESC LIMIT 1 OFFSET ?',
      )
      .pluck();
    this.#skipBack = (recipient, before, offset) => skipBack.get(recipient, before, offset);
  }

  /** Takes note of stored drafts: a recipient that has grown enough is looked at. */
  grew(drafts: readonly Draft[]): void {
    if (this.#rule.messages === 0) return;
    for (const { recipient } of drafts) {
      const growth = (this.#growth.get(recipient) ?? 0) + 1;
      if (this.#growth.size > MOST_COUNTED) {
        this.#growth.clear();
        this.#scanned ??= '';
      }
      if (growth < LOOK_EVERY) {
        this.#growth.set(recipient, growth);
      } else {
        this.#growth.delete(recipient);
        this.#toLookAt.add(recipient);
      }
    }
  }

  /** Time has passed: what has expired or aged since is looked for again. Call it about once a second. */
  tick(): void {
    this.#expiryDue = true;
    this.#ageDue = this.#rule.days > 0;
  }

  /**
   * Does one step, if there is one to do.
   *
   * @param now milliseconds since the Unix epoch
   * @param limit at most this many messages are purged in it
   * @returns how many messages were purged, and whether there is another step to do
   */
  step(now: number, limit: number): { purged: number; more: boolean } {
    const purged = this.#purgeNext(now, limit);
    return { purged, more: this.#hasMore() };
  }

  #hasMore(): boolean {
    return (
      this.#expiryDue ||
      this.#ageDue ||
      this.#surplus !== undefined ||
      this.#search !== undefined ||
      this.#toLookAt.size > 0 ||
      this.#scanned !== undefined
    );
  }

  #purgeNext(now: number, limit: number): number {
    if (this.#expiryDue) {
      const done = this.#purge({ kind: 'expired', now, limit });
      this.#expiryDue = done.more;
      return done.messages;
    }
    if (this.#ageDue) {
      const createdBefore = now - this.#rule.days * DAY;
      if (now >= this.#ageScanDue) {
        this.#ageScanDue = now + DAY;
        this.#aged = 0;
      }
      const done = this.#purge({ kind: 'aged', now, after: this.#aged, createdBefore, limit });
      this.#aged = Math.max(this.#aged, done.through);
      this.#ageDue = done.more;
      return done.messages;
    }
    if (this.#surplus !== undefined) {
      const done = this.#purge({ kind: 'surplus', now, ...this.#surplus, limit });
      this.#surplus = done.more ? { ...this.#surplus, after: done.through } : undefined;
      return done.messages;
    }
    if (this.#search !== undefined) this.#searchOn(this.#search);
    else this.#lookAtNext();
    return 0;
  }

  /** Passes over the messages to keep; the first one behind them is the newest surplus. */
  #searchOn(search: SurplusSearch): void {
    const offset = Math.min(search.toKeep, SKIP);
    const id = this.#skipBack(search.recipient, search.before, offset);
    if (id === undefined) {
      this.#search = undefined;
    } else if (offset === search.toKeep) {
      this.#search = undefined;
      this.#surplus = { recipient: search.recipient, after: 0, through: id };
    } else {
      // The row found is itself one of those to keep.
      search.before = id;
      search.toKeep -= offset + 1;
    }
  }

  #lookAtNext(): void {
    const [grown] = this.#toLookAt;
    let recipient = grown;
    if (recipient !== undefined) {
      this.#toLookAt.delete(recipient);
    } else if (this.#scanned !== undefined) {
      recipient = this.#nextRecipient(this.#scanned);
      this.#scanned = recipient;
    }
    if (recipient !== undefined) {
      this.#search = { recipient, before: Number.MAX_SAFE_INTEGER, toKeep: this.#rule.messages };
    }
  }
}
