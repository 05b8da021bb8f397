import type { Database } from 'better-sqlite3';
import { type Draft, READ_TYPE } from '../../message.ts';
import type { ProposePurge, UpkeepTask } from './upkeep-task.ts';

/**
 * The maximum number of recipients whose counts are kept: the ones that grew most recently. Others are counted again
 * when they grow.
 */
const MAX_COUNTED = 100_000;

/** The number of index entries that a count reads at once, in well under a millisecond. */
const COUNT_ROWS = 5000;

/** The count of a recipient's messages. */
interface Count {
  /** All messages up to this id are removed, except current read markers. */
  boundary: number;
  /** The number of messages after the boundary. */
  rows: number;
}

/**
 * The task that keeps the newest messages of each recipient, and the current read markers. After the start it counts
 * all recipients, and then maintains their counts, so that a growing recipient costs only its purges.
 */
export class CountRetention implements UpkeepTask {
  readonly #max: number;
  readonly #rows: number;
  readonly #purge: ProposePurge;
  readonly #nextRecipient: (after: string) => string | undefined;
  readonly #countBack: (
    recipient: string,
    before: number,
    limit: number,
  ) => { rows: number; lowest: number | null };
  readonly #markersThrough: (recipient: string, reader: string, through: number) => number[];

  /** The counts, by recipient, in the order of last growth. */
  readonly #counts = new Map<string, Count>();
  /** The recipients to examine now, and those to examine after the next tick. */
  readonly #due = new Set<string>();
  readonly #surplus = new Set<string>();
  /** The recipients of new read markers, with the readers whose previous marker is no longer current. */
  readonly #markers = new Map<string, Set<string>>();
  /** The recipient after which the count of all recipients continues; `undefined` once it is complete. */
  #scanned: string | undefined = '';
  /** The count in progress: a walk back over the index of a recipient, which has reached `before`. */
  #search: { recipient: string; before: number; rows: number } | undefined;
  /** The surplus that a count found, being purged from the oldest message on. */
  #sweep: { recipient: string; after: number; through: number } | undefined;

  /**
   * @param max the number of messages that a recipient keeps
   * @param purge proposes a purge; `removed` is called for each message that it removes
   * @param rows the number of messages purged at once
   */
  constructor(database: Database, max: number, purge: ProposePurge, rows: number) {
    this.#max = max;
    this.#rows = rows;
    this.#purge = purge;
    const nextRecipient = database
      .prepare<[string], string | null>('SELECT min(recipient) FROM messages WHERE recipient > ?')
      .pluck();
    this.#nextRecipient = (after) => nextRecipient.get(after) ?? undefined;
    const countBack = database.prepare<[string, number, number], { rows: number; lowest: number | null }>(
      'SELECT count(*) AS rows, min(id) AS lowest FROM ' +
        '(SELECT id FROM messages WHERE recipient = ? AND id < ? ORDER BY id DESC LIMIT ?)',
    );
    this.#countBack = (...range) => countBack.get(...range) ?? { rows: 0, lowest: null };
    const markersThrough = database
      .prepare<[Record<string, unknown>], number>(
        'SELECT id FROM pairMessages ' +
          'WHERE recipient = :recipient AND sender = :reader AND counts = 0 AND id <= :through ' +
          // Markers that are not projected yet.
          'UNION SELECT id FROM messages WHERE recipient = :recipient AND sender = :reader ' +
          `AND id > (SELECT projected FROM position) AND id <= :through AND type = '${READ_TYPE}'`,
      )
      .pluck();
    this.#markersThrough = (recipient, reader, through) => markersThrough.all({ recipient, reader, through });
  }

  /** Notes that a message was stored. */
  stored({ sender, recipient, type }: Draft): void {
    const count = this.#counts.get(recipient);
    if (this.#search?.recipient === recipient) {
      // A walk that has not started will count this message itself.
      if (this.#search.before < Number.MAX_SAFE_INTEGER) this.#search.rows++;
    } else if (count === undefined) {
      this.#due.add(recipient);
    } else {
      count.rows++;
      this.#counts.delete(recipient);
      this.#counts.set(recipient, count);
      if (count.rows > this.#max + Math.floor(this.#max / 100)) this.#due.add(recipient);
      else if (count.rows > this.#max) this.#surplus.add(recipient);
      if (type === READ_TYPE && count.boundary > 0) {
        const readers = this.#markers.get(recipient);
        if (readers === undefined) this.#markers.set(recipient, new Set([sender]));
        else readers.add(sender);
      }
    }
    // The set of due recipients is bounded too: when it overflows, all recipients are counted again.
    if (this.#due.size > MAX_COUNTED) this.recount();
  }

  /** Notes that a message has been removed. */
  removed(id: number, recipient: string): void {
    const count = this.#counts.get(recipient);
    if (count !== undefined && id > count.boundary) count.rows--;
    if (this.#search?.recipient === recipient && id >= this.#search.before) this.#search.rows--;
  }

  /** Makes recipients with a small surplus due. Call it about once a second. */
  tick(): void {
    for (const recipient of this.#surplus) this.#due.add(recipient);
    this.#surplus.clear();
  }

  /** Forgets all counts. Call it if noted changes were rolled back. */
  recount(): void {
    for (const names of [this.#counts, this.#due, this.#surplus, this.#markers]) names.clear();
    this.#search = undefined;
    this.#sweep = undefined;
    this.#scanned = '';
  }

  get isDue(): boolean {
    return (
      this.#search !== undefined ||
      this.#sweep !== undefined ||
      this.#markers.size > 0 ||
      this.#due.size > 0 ||
      this.#scanned !== undefined
    );
  }

  run({ held }: { readonly held: number }): number {
    if (this.#sweep !== undefined) return this.#sweepOn(held, this.#sweep);
    if (this.#search !== undefined) return this.#count(this.#search);
    for (const [recipient, readers] of this.#markers) return this.#dropMarkers(held, recipient, readers);
    for (const recipient of this.#due) return this.#lookAt(held, recipient);
    this.#scanned = this.#scanned === undefined ? undefined : this.#nextRecipient(this.#scanned);
    if (this.#scanned !== undefined) this.#begin(this.#scanned);
    return 1;
  }

  #begin(recipient: string): void {
    this.#due.delete(recipient);
    if (!this.#counts.has(recipient)) this.#search = { recipient, before: Number.MAX_SAFE_INTEGER, rows: 0 };
  }

  /** Walks further back over a recipient's messages, until none are left or it has as many as the recipient keeps. */
  #count(search: { recipient: string; before: number; rows: number }): number {
    const { recipient } = search;
    const limit = Math.min(COUNT_ROWS, this.#max - search.rows);
    if (limit > 0) {
      const { rows, lowest } = this.#countBack(recipient, search.before, limit);
      search.rows += rows;
      search.before = lowest ?? search.before;
      if (rows === limit && search.rows < this.#max) return 1;
      if (rows < limit) search.before = 1;
    }
    this.#search = undefined;
    const boundary = search.before - 1;
    this.#counts.set(recipient, { boundary, rows: search.rows });
    for (const oldest of this.#counts.keys()) {
      if (this.#counts.size <= MAX_COUNTED) break;
      this.#counts.delete(oldest);
    }
    if (boundary > 0) this.#sweep = { recipient, after: 0, through: boundary };
    if (search.rows > this.#max) this.#due.add(recipient);
    return 1;
  }

  #sweepOn(now: number, sweep: { recipient: string; after: number; through: number }): number {
    const done = this.#purge({ by: 'count', now, ...sweep, limit: this.#rows });
    sweep.after = done.through;
    if (!done.more) this.#sweep = undefined;
    return done.messages + 1;
  }

  /** Purges a piece of a recipient's surplus. */
  #lookAt(now: number, recipient: string): number {
    const count = this.#counts.get(recipient);
    if (count === undefined) {
      this.#begin(recipient);
      return 1;
    }
    const surplus = count.rows - this.#max;
    if (surplus <= 0) {
      this.#due.delete(recipient);
      return 1;
    }
    const limit = Math.min(surplus, this.#rows);
    const { messages, through, more } = this.#purge({
      by: 'count',
      now,
      recipient,
      after: count.boundary,
      through: Number.MAX_SAFE_INTEGER,
      limit,
    });
    // `removed` has already uncounted the removed messages. The kept read markers are now behind the boundary.
    count.rows -= limit - messages;
    count.boundary = through;
    // There were fewer messages than counted.
    if (!more) this.#counts.delete(recipient);
    return messages + 1;
  }

  /** Purges a reader's markers behind a recipient's boundary, once a new one has replaced them. */
  #dropMarkers(now: number, recipient: string, readers: Set<string>): number {
    const boundary = this.#counts.get(recipient)?.boundary ?? 0;
    let messages = 0;
    for (const reader of readers) {
      readers.delete(reader);
      for (const id of this.#markersThrough(recipient, reader, boundary)) {
        const bound = { recipient, after: id - 1, through: id };
        messages += this.#purge({ by: 'count', now, ...bound, limit: 1 }).messages;
      }
      break;
    }
    if (readers.size === 0) this.#markers.delete(recipient);
    return messages + 1;
  }
}
