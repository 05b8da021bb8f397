import type { Database } from 'better-sqlite3';
import { type Draft, READ_TYPE } from '../message.ts';
import type { Purge } from './purge.ts';
import type { UpkeepTask } from './upkeep.ts';

/** So many recipients are counted at once. Of more, those that grew last are, and the others are counted again. */
const MAX_COUNTED = 100_000;

/** Counting passes over this many index entries at once, well under a millisecond. */
const COUNT_ROWS = 5000;

/** Messages that are purged at once. */
const PURGE_ROWS = 20;

/** How many messages a recipient has. */
interface Count {
  /** All up to this id is gone, but for read markers that still stand. */
  boundary: number;
  /** Messages after the boundary. */
  rows: number;
}

/**
 * Keeps the newest messages of each recipient, and the read markers that stand. All recipients are counted after the
 * start; from then on their counts are kept, so that a recipient that grows costs only what it purges.
 */
export class CountRetention implements UpkeepTask {
  readonly #most: number;
  readonly #purge: Purge;
  readonly #nextRecipient: (after: string) => string | undefined;
  readonly #countBack: (
    recipient: string,
    before: number,
    limit: number,
  ) => { rows: number; lowest: number | null };
  readonly #markersThrough: (recipient: string, reader: string, through: number) => number[];

  /** In the order in which they grew. */
  readonly #counts = new Map<string, Count>();
  /** Recipients to look at now, and those to look at with the next tick. */
  readonly #due = new Set<string>();
  readonly #surplus = new Set<string>();
  /** Recipients of new read markers, with their readers: the marker before each stands no more. */
  readonly #markers = new Map<string, Set<string>>();
  /** The recipient after which the count of all goes on; `undefined` if that is done. */
  #scanned: string | undefined = '';
  /** A count under way: a walk back over the index of a recipient, so far to `before`. */
  #search: { recipient: string; before: number; rows: number } | undefined;
  /** What a count has found too many, from the oldest on. */
  #sweep: { recipient: string; after: number; through: number } | undefined;

  /**
   * @param most how many messages a recipient keeps
   * @param purge takes messages from the log, and tells `removed` of each
   */
  constructor(database: Database, most: number, purge: Purge) {
    this.#most = most;
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
          // Those that are not projected yet.
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
      // Before its first piece, the walk itself comes to it.
      if (this.#search.before < Number.MAX_SAFE_INTEGER) this.#search.rows++;
    } else if (count === undefined) {
      this.#due.add(recipient);
    } else {
      count.rows++;
      this.#counts.delete(recipient);
      this.#counts.set(recipient, count);
      if (count.rows > this.#most + Math.floor(this.#most / 100)) this.#due.add(recipient);
      else if (count.rows > this.#most) this.#surplus.add(recipient);
      if (type === READ_TYPE && count.boundary > 0) {
        const readers = this.#markers.get(recipient);
        if (readers === undefined) this.#markers.set(recipient, new Set([sender]));
        else readers.add(sender);
      }
    }
    // The names that wait are bounded too: in their place all recipients are counted again.
    if (this.#due.size > MAX_COUNTED) this.recount();
  }

  /** Notes that a message was removed. */
  removed(id: number, recipient: string): void {
    const count = this.#counts.get(recipient);
    if (count !== undefined && id > count.boundary) count.rows--;
    if (this.#search?.recipient === recipient && id >= this.#search.before) this.#search.rows--;
  }

  /** Time has passed: recipients with a small surplus are purged too. */
  tick(): void {
    for (const recipient of this.#surplus) this.#due.add(recipient);
    this.#surplus.clear();
  }

  /** Forgets all counts: call it if what was told last is not what is stored. */
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

  /** Walks back over some more of a recipient's messages, until there are none, or as many as it keeps. */
  #count(search: { recipient: string; before: number; rows: number }): number {
    const { recipient } = search;
    const limit = Math.min(COUNT_ROWS, this.#most - search.rows);
    if (limit > 0) {
      const { rows, lowest } = this.#countBack(recipient, search.before, limit);
      search.rows += rows;
      search.before = lowest ?? search.before;
      if (rows === limit && search.rows < this.#most) return 1;
      if (rows < limit) search.before = 1;
    }
    this.#search = undefined;
    const boundary = search.before - 1;
    this.#counts.set(recipient, { boundary, rows: search.rows });
    for (const eldest of this.#counts.keys()) {
      if (this.#counts.size <= MAX_COUNTED) break;
      this.#counts.delete(eldest);
    }
    if (boundary > 0) this.#sweep = { recipient, after: 0, through: boundary };
    if (search.rows > this.#most) this.#due.add(recipient);
    return 1;
  }

  #sweepOn(now: number, sweep: { recipient: string; after: number; through: number }): number {
    const done = this.#purge({ kind: 'surplus', now, ...sweep, limit: PURGE_ROWS });
    sweep.after = done.through;
    if (!done.more) this.#sweep = undefined;
    return done.messages + 1;
  }

  /** Purges what a recipient has too many. */
  #lookAt(now: number, recipient: string): number {
    const count = this.#counts.get(recipient);
    if (count === undefined) {
      this.#begin(recipient);
      return 1;
    }
    const surplus = count.rows - this.#most;
    if (surplus <= 0) {
      this.#due.delete(recipient);
      return 1;
    }
    const limit = Math.min(surplus, PURGE_ROWS);
    const { messages, through, more } = this.#purge({
      kind: 'surplus',
      now,
      recipient,
      after: count.boundary,
      through: Number.MAX_SAFE_INTEGER,
      limit,
    });
    // What was removed is no longer counted; the read markers that stay are behind the boundary from now on.
    count.rows -= limit - messages;
    count.boundary = through;
    // There were fewer than were counted.
    if (!more) this.#counts.delete(recipient);
    return messages + 1;
  }

  /** Purges the read markers of one recipient that stood behind the boundary until others took their place. */
  #dropMarkers(now: number, recipient: string, readers: Set<string>): number {
    const boundary = this.#counts.get(recipient)?.boundary ?? 0;
    let messages = 0;
    for (const reader of readers) {
      readers.delete(reader);
      for (const id of this.#markersThrough(recipient, reader, boundary)) {
        const bound = { recipient, after: id - 1, through: id };
        messages += this.#purge({ kind: 'surplus', now, ...bound, limit: 1 }).messages;
      }
      break;
    }
    if (readers.size === 0) this.#markers.delete(recipient);
    return messages + 1;
  }
}
