import type { JetStreamClient } from '@nats-io/jetstream';
import type { KV, KvEntry } from '@nats-io/kv';
import type { Branch } from '../log/replica/join-cluster.ts';
import type { VapidKeys } from '../push/vapid.ts';
import { StartError } from '../start-error.ts';
import { serverTime } from './entry-stream.ts';
import { catalogueName } from './names.ts';
import { NO_SNAPSHOTS, type SnapshotList } from './snapshot-list.ts';

/** The key of the log's record. */
const LOG = 'log';

/** The key of the list of snapshots. */
const SNAPSHOTS = 'snapshots';

/** The maximum number of tries to change a value that others change at the same time. */
const MAX_TRIES = 20;

/** JetStream's code for a value that was changed in the meantime. */
const WRONG_REVISION = 10071;

/** JetStream's code for a stream, and so a bucket, that does not exist. */
const NO_SUCH_STREAM = 10059;

/** The facts about the log that nodes of a cluster need before they open it. */
export interface LogRecord {
  /** The random id of the log, which each replica stores. */
  readonly logId: string;
  /** The generation of the stream that nodes follow now. */
  readonly generation: number;
  /** The end of the previous generation, from which this one continues; missing in the first. */
  readonly branch?: Branch;
  /** The keys that all nodes sign notifications with. */
  readonly vapidKeys: VapidKeys;
}

/** The catalogue of a cluster: a key-value bucket in NATS. */
export class Catalogue {
  readonly #bucket: KV;

  constructor(bucket: KV) {
    this.#bucket = bucket;
  }

  /**
   * Opens the catalogue made by `cluster init`. Never creates it, since a new one would hide that the old one was lost.
   *
   * @throws {StartError} if it does not exist; {Error} if NATS does not answer, for example while its servers elect a
   *   leader
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

  /** Returns the record of the log; `undefined` if `init` has not written it yet. */
  async log(): Promise<LogRecord | undefined> {
    return (await this.#bucket.get(LOG))?.json<LogRecord>();
  }

  /**
   * Returns the record of the log.
   *
   * @throws {StartError} if `init` has not written it yet; {Error} if NATS does not answer
   */
  async existingLog(): Promise<LogRecord> {
    const record = await this.log();
    if (record !== undefined) return record;
    throw new StartError('The log in NATS is not completely set up: run `cluster init` again.');
  }

  /** Creates the record of the log. @throws {Error} if it already exists */
  async create(record: LogRecord): Promise<void> {
    await this.#bucket.create(LOG, JSON.stringify(record));
  }

  /**
   * Moves the record of the log to another generation. Does nothing if it is already there.
   *
   * @throws {StartError} if somebody else has moved it
   */
  async move(before: LogRecord, after: LogRecord): Promise<void> {
    await this.#change<LogRecord>(LOG, (record) => {
      if (record?.generation === after.generation && sameBranch(record.branch, after.branch)) return record;
      if (record?.generation === before.generation) return after;
      throw new StartError(
        'Somebody else has changed the record of the log in the meantime: check it again.',
      );
    });
  }

  /**
   * Returns the time by the clock of NATS, which all machines share; by this machine's clock if NATS does not report
   * its own.
   *
   * @returns milliseconds since the Unix epoch
   * @throws {Error} if NATS does not answer
   */
  async now(): Promise<number> {
    return serverTime((await this.#bucket.status()).streamInfo) ?? Date.now();
  }

  /** Returns the time at which the record of the log was last written, in milliseconds since the Unix epoch. */
  async recordedAt(): Promise<number> {
    return (await this.#bucket.get(LOG))?.created.getTime() ?? 0;
  }

  /** Returns the number of servers that have a copy of the catalogue. */
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
   * @param change called with the list and NATS's time, and again with a newer list if another node has changed it in
   *   the meantime
   * @returns the changed list
   * @throws the error of `change`; {Error} if NATS does not accept the list
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
