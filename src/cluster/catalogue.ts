import type { JetStreamClient } from '@nats-io/jetstream';
import type { KV, KvEntry } from '@nats-io/kv';
import type { Branch } from '../log/replica/join-cluster.ts';
import type { VapidKeys } from '../push/vapid.ts';
import { StartError } from '../start-error.ts';
import { serverTime } from './entry-stream.ts';
import { catalogueName } from './names.ts';
import { NO_SNAPSHOTS, type SnapshotList } from './snapshot-list.ts';

/** The key under which the log stands. */
const LOG = 'log';

/** The key under which the list of snapshots stands. */
const SNAPSHOTS = 'snapshots';

/** A value that others change at the same time is read and changed again at most this often. */
const MAX_TRIES = 20;

/** JetStream's code for a value that was changed meanwhile. */
const WRONG_REVISION = 10071;

/** JetStream's code for a stream that is not there, and so for a bucket. */
const NO_SUCH_STREAM = 10059;

/** The facts about their log that nodes of a cluster know before they open it. */
export interface LogRecord {
  /** Random; each replica stores it. */
  readonly logId: string;
  /** The generation of the stream that is followed now. */
  readonly generation: number;
  /** The end of the generation before, as it goes on in this one; missing in the first. */
  readonly branch?: Branch;
  /** The keys that all nodes sign notifications with. */
  readonly vapidKeys: VapidKeys;
}

/** The catalogue of a cluster: a bucket of keys in NATS. */
export class Catalogue {
  readonly #bucket: KV;

  constructor(bucket: KV) {
    this.#bucket = bucket;
  }

  /**
   * Opens the catalogue that `cluster init` made. It is never made here: a new one would hide that another was lost.
   *
   * @throws {StartError} if there is none; {Error} if NATS does not answer: while its servers elect a leader, a bucket that
   *   is there does not
   */
  static async open(client: JetStreamClient, prefix: string): Promise<Catalogue> {
    const { Kvm } = await import('@nats-io/kv');
    const name = catalogueName(prefix);
    try {
      const bucket = await new Kvm(client).open(name);
      await bucket.status();
      return new Catalogue(bucket);
    } catch (error) {
      if ((error as { code?: unknown }).code !== NO_SUCH_STREAM) throw error;
      throw new StartError(
        `NATS has no bucket ${name}, so no record of a log. For a new cluster run \`cluster init\` once; else set NATS_STREAM to the ` +
          'name that it was run with. If NATS has lost the log, do not make an empty one: docs/cluster.md, "Reseed", says what to do.',
        { cause: error },
      );
    }
  }

  /** Returns the record of the log; `undefined` if `init` has not come so far. */
  async log(): Promise<LogRecord | undefined> {
    return (await this.#bucket.get(LOG))?.json<LogRecord>();
  }

  /** Returns the record of the log. @throws {StartError} if `init` has not come so far; {Error} if NATS does not answer */
  async existingLog(): Promise<LogRecord> {
    const record = await this.log();
    if (record !== undefined) return record;
    throw new StartError('The beginning of the log in NATS is not complete: run `cluster init` again.');
  }

  /** Records the log. @throws if there is a record already */
  async create(record: LogRecord): Promise<void> {
    await this.#bucket.create(LOG, JSON.stringify(record));
  }

  /**
   * Moves the record of the log to another generation. Does nothing if it is there already.
   *
   * @throws {StartError} if somebody else has moved it
   */
  async move(before: LogRecord, after: LogRecord): Promise<void> {
    await this.#change<LogRecord>(LOG, (record) => {
      if (record?.generation === after.generation && sameBranch(record.branch, after.branch)) return record;
      if (record?.generation === before.generation) return after;
      throw new StartError('The record of the log was changed by somebody else meanwhile: look at it again.');
    });
  }

  /**
   * Returns the time by the clock of NATS, which all machines share; this machine's if NATS does not say it.
   *
   * @returns milliseconds since the Unix epoch
   * @throws {Error} if NATS does not answer
   */
  async now(): Promise<number> {
    return serverTime((await this.#bucket.status()).streamInfo) ?? Date.now();
  }

  /** When the log was recorded last, in milliseconds since the Unix epoch. */
  async recordedAt(): Promise<number> {
    return (await this.#bucket.get(LOG))?.created.getTime() ?? 0;
  }

  /** How many servers have the catalogue. */
  async replicas(): Promise<number> {
    return (await this.#bucket.status()).replicas;
  }

  /** Returns the list of snapshots. */
  async snapshots(): Promise<SnapshotList> {
    return (await this.#bucket.get(SNAPSHOTS))?.json<SnapshotList>() ?? NO_SNAPSHOTS;
  }

  /**
   * Changes the list of snapshots by compare-and-set.
   *
   * @param change called with the list and NATS's time, and again with a newer list if another node changed it meanwhile
   * @returns the list as it is now
   * @throws what `change` throws, and if NATS does not take it
   */
  async changeSnapshots(change: (list: SnapshotList, now: number) => SnapshotList): Promise<SnapshotList> {
    const now = await this.now();
    return this.#change<SnapshotList>(SNAPSHOTS, (list) => change(list ?? NO_SNAPSHOTS, now));
  }

  async #change<T>(key: string, change: (value: T | undefined) => T): Promise<T> {
    for (let tries = 1; ; tries++) {
      const entry = await this.#bucket.get(key);
      const value = change(entry?.json<T>());
      try {
        await this.#set(key, entry, JSON.stringify(value));
        return value;
      } catch (error) {
        if (tries === MAX_TRIES || (error as { code?: unknown }).code !== WRONG_REVISION) throw error;
      }
    }
  }

  async #set(key: string, before: KvEntry | null, text: string): Promise<void> {
    if (before === null) await this.#bucket.create(key, text);
    else if (before.string() !== text) await this.#bucket.update(key, text, before.revision);
  }
}

function sameBranch(one: Branch | undefined, other: Branch | undefined): boolean {
  return one?.sequence === other?.sequence && one?.digest === other?.digest;
}
