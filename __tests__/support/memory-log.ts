/** The local order over a database in memory: a log without a file and a thread, whose upkeep runs when a test says so. */
import Sqlite, { type Database } from 'better-sqlite3';
import { type Logger, pino } from 'pino';
import { newEpoch } from '../../src/log/cursor.ts';
import { type Applied, entryOf, type OrderedEntry, type Outcome, type Purge } from '../../src/log/entry.ts';
import { LogUnavailable } from '../../src/log/message-log.ts';
import { JetStreamOrder } from '../../src/log/order/jetstream.ts';
import type { OrderTimes } from '../../src/log/order/jetstream-options.ts';
import { LocalOrder } from '../../src/log/order/local.ts';
import { type Apply, prepareApply } from '../../src/log/replica/apply.ts';
import type { UpkeepEntry } from '../../src/log/replica/dry-runs.ts';
import { joinCluster } from '../../src/log/replica/join-cluster.ts';
import { migrate } from '../../src/log/replica/migrations.ts';
import { Replica, type ReplicaWriter } from '../../src/log/replica/replica.ts';
import { Upkeep } from '../../src/log/replica/upkeep.ts';
import { ReplicatedLog } from '../../src/log/replicated-log.ts';
import type { Retention } from '../../src/log/retention.ts';
import type { MemoryStream } from './memory-stream.ts';

/** The options of a log in memory. */
export interface MemoryLogOptions {
  /** Returns milliseconds since the Unix epoch. */
  readonly now: () => number;
  /** Returns milliseconds that only grow: retention goes by them if `now` jumps. By default those of the process. */
  readonly monotonic?: () => number;
  readonly retention?: Retention;
  /** A database that `serialize` returned. */
  readonly from?: Buffer | undefined;
  /** The stream that gives the order, and other logs share; by default the order is local. */
  readonly stream?: MemoryStream | undefined;
  /** The times and the logger of that order. */
  readonly times?: OrderTimes | undefined;
  readonly logger?: Logger | undefined;
}

/** Returns a new database in memory with its schema. */
export function memoryDatabase(): Database {
  const database = new Sqlite(':memory:');
  migrate(database, ':memory:');
  return database;
}

/** Thrown in a transaction to undo it, as the writer in its thread does. */
class Withdrawn extends Error {}

/** Applies entries on the calling thread. */
class MemoryWriter implements ReplicaWriter {
  readonly closed = undefined;
  purged = 0;
  /** All entries that changed the database, but for those of upkeep, in their order. */
  readonly applied: OrderedEntry[] = [];
  /** Settles when applied entries count as being on disk. */
  flushed: Promise<void> = Promise.resolve();
  readonly #apply: Apply;
  readonly #upkeep: Upkeep;
  readonly #head: () => number;
  readonly #transaction: (run: () => void) => void;
  readonly #now: () => number;

  constructor(database: Database, options: MemoryLogOptions) {
    const { now, monotonic = () => performance.now(), retention = { days: 0, messages: 0 } } = options;
    this.#now = now;
    this.#apply = prepareApply(database, {
      removed: (id, recipient, origin) => this.#upkeep.removed(id, recipient, origin),
    });
    const head = database.prepare<[], number>('SELECT head FROM position').pluck();
    this.#head = () => head.get() ?? 0;
    const transaction = database.transaction((run: () => void) => run());
    this.#transaction = (run) => transaction.immediate(run);
    this.#upkeep = new Upkeep(database, {
      retention,
      retentionFrom: undefined,
      clock: monotonic,
      send: options.stream === undefined ? undefined : (entry) => this.onProposed(entry),
      propose: (entry, time) => this.#apply([{ entry: entryOf(entry), time }])[0] as Outcome,
    });
  }

  async apply(entries: readonly OrderedEntry[]): Promise<Applied | LogUnavailable> {
    this.#upkeep.beforeAppend(this.#now());
    let outcomes: readonly Outcome[] = [];
    try {
      this.#transaction(() => {
        const before = this.#head();
        outcomes = this.#apply(entries);
        const isLocal = entries[0]?.sequence === undefined;
        if (isLocal && entries.length > 1 && outcomes[0]?.kind === 'epoch' && this.#head() === before)
          throw new Withdrawn('the epoch gave no id');
      });
      this.#noteStored(entries, outcomes);
      this.applied.push(...entries);
    } catch (error) {
      if (!(error instanceof Withdrawn))
        return new LogUnavailable('the log cannot be written', { cause: error });
      outcomes = [{ kind: 'withdrawn' }, ...outcomes.slice(1)];
    }
    await this.flushed;
    return { outcomes, seconds: 0, syncSeconds: 0 };
  }

  /** Called when upkeep proposes an entry. */
  onProposed: (entry: UpkeepEntry) => void = () => undefined;

  retain(retention: Retention | undefined): void {
    this.#upkeep.retain(retention);
  }

  unproposed(origin: string): void {
    this.#upkeep.settled(origin, undefined);
  }

  probe(): Promise<void> {
    return this.flushed;
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  /** Does all that upkeep has due. */
  keepUp(): void {
    this.#upkeep.tick();
    for (let more = true; more;) {
      const step = this.#upkeep.step(this.#now());
      this.purged += step.purged;
      more = step.more;
    }
  }

  #noteStored(entries: readonly OrderedEntry[], outcomes: readonly Outcome[]): void {
    for (const [index, { entry, time }] of entries.entries()) {
      const outcome = outcomes[index];
      if (entry.kind === 'purge') this.#upkeep.settled(entry.origin, outcome);
      if (entry.kind !== 'append' || outcome?.kind !== 'append') continue;
      for (const [place, batch] of entry.batches.entries()) {
        const result = outcome.results[place] ?? [];
        if ('fault' in result) continue;
        for (const [at, draft] of batch.entries())
          if (typeof result[at] === 'number') this.#upkeep.stored(draft, time);
      }
    }
  }
}

function localLog(replica: Replica, now: () => number): ReplicatedLog {
  const epoch = newEpoch();
  return new ReplicatedLog({ replica, order: new LocalOrder(replica, epoch, now), nextEpoch: epoch, now });
}

/** A log in memory. */
export class MemoryLog {
  readonly log: ReplicatedLog;
  readonly #database: Database;
  readonly #writer: MemoryWriter;
  readonly #now: () => number;
  #release: (() => void) | undefined;

  constructor(options: MemoryLogOptions) {
    const { now, from } = options;
    this.#now = now;
    this.#database = from === undefined ? memoryDatabase() : new Sqlite(from);
    this.#writer = new MemoryWriter(this.#database, options);
    if (options.stream !== undefined) joinCluster(this.#database, options.stream);
    const replica = new Replica({ database: this.#database, writer: this.#writer, file: ':memory:' });
    this.log =
      options.stream === undefined
        ? localLog(replica, now)
        : this.#followStream(replica, options.stream, options);
  }

  /** Why the stream cannot be followed any more. */
  readonly fatal: Error[] = [];

  /** The order, if it is that of a stream. */
  order: JetStreamOrder | undefined;

  #followStream(
    replica: Replica,
    stream: MemoryStream,
    { now, times, logger }: MemoryLogOptions,
  ): ReplicatedLog {
    const order = new JetStreamOrder({
      stream,
      replica,
      address: { logId: stream.logId, generation: stream.generation },
      after: replica.store.position().sequence ?? 0,
      mark: replica.store.position().mark,
      logger: logger ?? pino({ level: 'silent' }),
      onFatal: (error) => this.fatal.push(error),
      times: { doubt: 100, ...times },
    });
    this.order = order;
    const log = new ReplicatedLog({ replica, order, now });
    order.start((group) => log.deliver(group));
    return log;
  }

  /** The sequence and the digest of the entry applied last. */
  get position(): { readonly sequence: number; readonly digest: string } {
    const select = 'SELECT sequence, digest FROM position';
    return (
      this.#database.prepare<[], { sequence: number; digest: string }>(select).get() ?? {
        sequence: 0,
        digest: '',
      }
    );
  }

  /** Does all that upkeep has due: conversations, expiry, retention. */
  keepUp(): void {
    this.#writer.keepUp();
  }

  /** All entries that were applied since it was opened, but for those of upkeep. */
  get applied(): readonly OrderedEntry[] {
    return this.#writer.applied;
  }

  /** Applies entries, as a replica does that gets them from another node. */
  async apply(entries: readonly OrderedEntry[]): Promise<void> {
    const applied = await this.#writer.apply(entries);
    if (applied instanceof LogUnavailable) throw applied;
  }

  /**
   * From now on the first commit is in the database, but not acknowledged, and the next ones wait. Nothing is done if that is
   * so already.
   */
  hold(): void {
    if (this.#release !== undefined) return;
    this.#writer.flushed = new Promise((resolve) => (this.#release = resolve));
  }

  /** Acknowledges the commits that were held back: they are handed to the listeners one after the other. */
  release(): void {
    this.#writer.flushed = Promise.resolve();
    this.#release?.();
    this.#release = undefined;
  }

  /** Removes messages, as an entry of the order does. */
  async purge(purge: Purge): Promise<void> {
    await this.apply([{ entry: entryOf({ kind: 'purge', purge }), time: this.#now() }]);
  }

  /** Closes the log. @returns its database, from which another one can be opened */
  async close(): Promise<Buffer> {
    await this.log.seal();
    const saved = this.#database.serialize();
    await this.log.close();
    return saved;
  }
}
