import type { JetStreamClient } from '@nats-io/jetstream';
import type { KV } from '@nats-io/kv';
import type { NatsConnection } from '@nats-io/transport-node';
import { inTime } from './in-time.ts';
import { leaseBucketName } from './names.ts';

/** The time after which the key of the lease expires unless it is written again. */
export const LEASE_MILLISECONDS = 3000;

/** The value of the key. */
export interface LeaseRecord {
  /** The random id of the holder, new at each start of its process. */
  readonly id: string;
  /** The name of the node, for people. */
  readonly node: string;
  /** The number of this write by its process, which identifies a write whose answer was lost. */
  readonly write: number;
}

/** The state of the key. `record` is `undefined` if nobody holds the lease. */
export interface LeaseKeyState {
  readonly record: LeaseRecord | undefined;
  /** The revision that the next write must replace; 0 if there is none. */
  readonly revision: number;
}

/** A key that several nodes share. It expires `LEASE_MILLISECONDS` after it was written. */
export interface LeaseKey {
  /** Reads the key. @throws {Error} if it cannot be read */
  read(): Promise<LeaseKeyState>;

  /**
   * Writes the key if it still has this revision.
   *
   * @returns the new revision
   * @throws {Error} if it has a different one, or the result is unknown
   */
  write(record: LeaseRecord, revision: number): Promise<number>;

  /**
   * Removes the key if it still has this revision.
   *
   * @throws {Error} if it has a different one, or the result is unknown
   */
  remove(revision: number): Promise<void>;

  /** Calls `listener` when a node has removed the key. The call is only a hint, and may be missed. */
  onRemoved(listener: () => void): void;
}

/** The name of the key in the bucket. */
const HOLDER = 'holder';

/** The time after which an answer counts as lost. */
const ASK_MILLISECONDS = 1000;

/** The header with which a bucket marks a removal. */
const OPERATION = 'KV-Operation';

/** The key of a lease in a bucket of NATS. */
export class NatsLeaseKey implements LeaseKey {
  readonly #connection: NatsConnection;
  readonly #bucket: KV;
  readonly #subject: string;

  private constructor(connection: NatsConnection, bucket: KV, subject: string) {
    this.#connection = connection;
    this.#bucket = bucket;
    this.#subject = subject;
  }

  /** Opens the bucket made by `cluster init`. A missing one is noticed at the first request. */
  static async open(
    connection: NatsConnection,
    client: JetStreamClient,
    prefix: string,
  ): Promise<NatsLeaseKey> {
    const { Kvm } = await import('@nats-io/kv');
    const name = leaseBucketName(prefix);
    return new NatsLeaseKey(connection, await new Kvm(client).open(name), `$KV.${name}.${HOLDER}`);
  }

  async read(): Promise<LeaseKeyState> {
    const entry = await inTime(this.#bucket.get(HOLDER), ASK_MILLISECONDS);
    if (entry === null) return { record: undefined, revision: 0 };
    const record = entry.operation === 'PUT' ? entry.json<LeaseRecord>() : undefined;
    return { record, revision: entry.revision };
  }

  write(record: LeaseRecord, revision: number): Promise<number> {
    // `update` would refuse 0, which means that the key was never written or has expired.
    return inTime(
      this.#bucket.put(HOLDER, JSON.stringify(record), { previousSeq: revision }),
      ASK_MILLISECONDS,
    );
  }

  async remove(revision: number): Promise<void> {
    await inTime(this.#bucket.delete(HOLDER, { previousSeq: revision }), ASK_MILLISECONDS);
  }

  onRemoved(listener: () => void): void {
    this.#connection.subscribe(this.#subject, {
      callback: (error, message) => {
        if (error === null && message.headers?.get(OPERATION) === 'DEL') listener();
      },
    });
  }
}

/** Creates the bucket of the lease if it is missing. */
export async function makeLeaseBucket(
  client: JetStreamClient,
  prefix: string,
  replicas: number,
): Promise<void> {
  const { Kvm } = await import('@nats-io/kv');
  await new Kvm(client).create(leaseBucketName(prefix), {
    replicas,
    // With a single server, a bucket in memory would be gone after a restart, and not just empty.
    storage: 'file',
    history: 1,
    ttl: LEASE_MILLISECONDS,
  });
}
