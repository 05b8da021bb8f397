/** Replicas of one order in memory, which a test restarts, holds back and compares. */
import Sqlite, { type Database } from 'better-sqlite3';
import { type EntryBody, entryOf, type OrderedEntry, type Outcome, wasStored } from '../../src/log/entry.ts';
import { type Apply, prepareApply } from '../../src/log/replica/apply.ts';
import type { UpkeepEntry } from '../../src/log/replica/dry-runs.ts';
import { prepareProjection, type Project } from '../../src/log/replica/projection.ts';
import { Upkeep, type UpkeepOptions } from '../../src/log/replica/upkeep.ts';
import { memoryDatabase } from './memory-log.ts';
import type { Random } from './random.ts';

/** Tables that a client can see, and the position of the replica. */
const TABLES = [
  'SELECT * FROM messages ORDER BY id',
  'SELECT * FROM readMarkers ORDER BY reader, peer',
  'SELECT * FROM purged ORDER BY address',
  'SELECT * FROM epochs ORDER BY firstId',
  'SELECT * FROM settings ORDER BY name',
  'SELECT * FROM proposers ORDER BY proposer',
  'SELECT * FROM pushSubscriptions ORDER BY id',
  'SELECT * FROM pushNotices ORDER BY subscription, peer',
  'SELECT * FROM sqlite_sequence ORDER BY name',
  'SELECT logId, head, createdAt, logTime, sequence, retentionTime FROM position',
];

/** Tables that are projected later. They are equal if they are up to date with the head. */
const PROJECTED = [
  'SELECT * FROM pairMessages ORDER BY recipient, sender, counts, id',
  'SELECT * FROM conversations ORDER BY address, peer',
];

/** The entries of one order, and the outcome of the first time that each was applied. */
export class Sequence {
  readonly entries: OrderedEntry[] = [];
  readonly outcomes: string[] = [];
  /** All tables after each entry. */
  readonly states: string[] = [];

  /** Gives an entry its place. @param time that of the order, in milliseconds since the Unix epoch */
  add(body: EntryBody, time: number): OrderedEntry {
    const ordered = { entry: entryOf(body), time, sequence: this.entries.length + 1 };
    this.entries.push(ordered);
    return ordered;
  }
}

/** A replica with a clock of its own, which shows a time that is far from all others. */
export class TwinReplica {
  /** How many entries were applied. */
  applied = 0;
  #database: Database;
  #apply: Apply;
  #project: Project;
  #dump: () => string;
  #upkeep: Upkeep | undefined;
  #proposed: UpkeepEntry[] = [];
  readonly #sequence: Sequence;
  readonly #random: Random;
  readonly #clock: number;
  /** A copy of the database, as it was some time ago. */
  #saved: Buffer;

  /**
   * @param from the database that all of them begin with
   * @param clock the time of its own clock, in milliseconds since the Unix epoch
   */
  constructor(sequence: Sequence, random: Random, from: Buffer, clock: number) {
    this.#sequence = sequence;
    this.#random = random;
    this.#clock = clock;
    this.#saved = from;
    this.#database = new Sqlite(from);
    [this.#apply, this.#project, this.#dump] = this.#prepare();
  }

  /** Applies the entries up to a place in some transactions. */
  catchUp(through = this.#sequence.entries.length): void {
    while (this.applied < through) {
      const count = this.#random.pick([1, 1, 2, 5, 20]);
      this.#applyNext(Math.min(through, this.applied + count));
    }
  }

  /** Applies the entries up to a place, each in a transaction of its own. */
  catchUpSingly(): void {
    while (this.applied < this.#sequence.entries.length) this.#applyNext(this.applied + 1);
  }

  /** The highest id given. */
  get head(): number {
    return this.#database.prepare<[], number>('SELECT head FROM position').pluck().get() ?? 0;
  }

  /**
   * Does a step of upkeep as the holder of a cluster's lease does: by dry runs. What it proposes is returned, and nothing is
   * changed.
   */
  keepUpDry(options: Omit<UpkeepOptions, 'propose' | 'retentionFrom' | 'send'>, now: number): UpkeepEntry[] {
    const proposed: UpkeepEntry[] = [];
    this.#proposed = proposed;
    if (this.#upkeep === undefined) {
      this.#upkeep = new Upkeep(this.#database, {
        ...options,
        retentionFrom: undefined,
        propose: () => {
          throw new Error('it must be sent');
        },
        send: (entry) => this.#proposed.push(entry),
      });
      this.#upkeep.retain(options.retention);
    }
    const before = this.#dump();
    this.#upkeep.tick();
    for (let steps = 0; steps < 3; steps++) this.#upkeep.step(now);
    equal('tables after a dry run', this.#dump(), before);
    return proposed;
  }

  /** Does a step of upkeep, whose proposals get the next places. @param now the proposer's clock */
  keepUp(options: Omit<UpkeepOptions, 'propose' | 'retentionFrom'>, now: number): void {
    this.#upkeep ??= new Upkeep(this.#database, {
      ...options,
      retentionFrom: undefined,
      propose: (body, time) => this.#applyEntries([this.#sequence.add(body, time)])[0] as Outcome,
    });
    this.#upkeep.tick();
    this.#upkeep.step(now);
  }

  /** Brings the projection a little further. */
  project(limit: number): void {
    this.#database.transaction(this.#project).immediate(limit);
  }

  /** Remembers the database: a later restart may be with it. */
  save(): void {
    this.#saved = this.#database.serialize();
  }

  /** Opens the database again, or an older copy of it, and applies all entries behind its position. */
  restart(isFromBackup: boolean): void {
    const applied = this.applied;
    this.#database = reopened(this.#database, isFromBackup ? this.#saved : undefined);
    [this.#apply, this.#project, this.#dump] = this.#prepare();
    this.#upkeep = undefined;
    const sequence = this.#database.prepare<[], number | null>('SELECT sequence FROM position').pluck().get();
    this.applied = sequence ?? 0;
    if (this.applied > applied) throw new Error('it is ahead of what was applied');
    this.catchUp(applied);
  }

  /** The number of messages of the recipient that has most, without current read markers. */
  get mostOfOneRecipient(): number {
    const sql =
      'SELECT count(*) FROM messages WHERE id NOT IN (SELECT id FROM readMarkers) ' +
      'GROUP BY recipient ORDER BY 1 DESC LIMIT 1';
    return this.#database.prepare<[], number>(sql).pluck().get() ?? 0;
  }

  /** Returns the projected tables, after bringing them up to date. */
  projected(): string {
    this.project(Infinity);
    return dumper(this.#database, PROJECTED)();
  }

  close(): void {
    this.#database.close();
  }

  #prepare(): [Apply, Project, () => string] {
    // SQLite may return rows in any order that a query does not name: on half of the replicas it does.
    this.#database.pragma(`reverse_unordered_selects = ${this.#random.integer(0, 1)}`);
    const removed = (id: number, recipient: string, origin: string | undefined): void =>
      this.#upkeep?.removed(id, recipient, origin);
    return [
      prepareApply(this.#database, { removed }),
      prepareProjection(this.#database),
      dumper(this.#database, TABLES),
    ];
  }

  #applyNext(through: number): void {
    const entries = this.#sequence.entries.slice(this.applied, through);
    this.#database.transaction(() => this.#applyEntries(entries)).immediate();
  }

  /** Applies entries, and compares the outcome with that of the first time that they were applied. */
  #applyEntries(entries: readonly OrderedEntry[]): Outcome[] {
    const outcomes = withClock(this.#clock, () => this.#apply(entries));
    this.applied += entries.length;
    const { outcomes: expected, states } = this.#sequence;
    for (const [index, outcome] of outcomes.entries()) {
      const place = this.applied - entries.length + index;
      expected[place] ??= JSON.stringify(outcome);
      equal(`outcome of entry ${place + 1}`, JSON.stringify(outcome), expected[place]);
    }
    for (const [index, { entry, time }] of entries.entries()) {
      const outcome = outcomes[index];
      if (entry.kind === 'purge') this.#upkeep?.settled(entry.origin, outcome);
      if (entry.kind !== 'append' || outcome?.kind !== 'append') continue;
      for (const [place, batch] of entry.batches.entries()) {
        const result = outcome.results[place] ?? [];
        if ('fault' in result) continue;
        for (const [at, one] of batch.entries()) if (wasStored(result[at])) this.#upkeep?.stored(one, time);
      }
    }
    const state = this.#dump();
    // Only the first of them applies each entry by itself.
    states[this.applied - 1] ??= state;
    equal(`tables after entry ${this.applied}`, state, states[this.applied - 1] ?? '');
    return outcomes;
  }
}

/** Returns a function that returns the rows of queries as text, a line a row. */
function dumper(database: Database, queries: readonly string[]): () => string {
  const statements = queries.map((sql) => database.prepare(sql).raw());
  return () =>
    statements
      .map(
        (statement, index) =>
          `${queries[index]}\n${statement
            .all()
            .map((row) => JSON.stringify(row))
            .join('\n')}`,
      )
      .join('\n');
}

function reopened(database: Database, saved: Buffer | undefined): Database {
  const next = new Sqlite(saved ?? database.serialize());
  database.close();
  return next;
}

/** @throws {Error} that names the lines which only one of two texts has */
function equal(what: string, got: string, expected: string): void {
  if (got === expected) return;
  const [ours, others] = [got.split('\n'), expected.split('\n')];
  const only = (lines: string[], all: string[], sign: string): string[] =>
    lines.filter((line) => !all.includes(line)).map((line) => `${sign} ${line}`);
  const lines = [...only(others, ours, '-'), ...only(ours, others, '+')].slice(0, 12);
  throw new Error(`${what} differ:\n${lines.join('\n')}`);
}

/** Runs a function while the clock of the process shows another time. */
function withClock<T>(clock: number, run: () => T): T {
  const real = Date.now;
  Date.now = () => clock;
  try {
    return run();
  } finally {
    Date.now = real;
  }
}

/** Returns a database for replicas of one log to begin with. */
export function firstDatabase(): Buffer {
  const database = memoryDatabase();
  const bytes = database.serialize();
  database.close();
  return bytes;
}
