import type { JetStreamClient } from '@nats-io/jetstream';
import type { KV } from '@nats-io/kv';
import type { NatsConnection } from '@nats-io/transport-node';
import { inTime } from './in-time.ts';
import { leaseBucketName } from './names.ts';

/** The key of the lease vanishes after this time unless it is written again. */
export const LEASE_MILLISECONDS = 3000;

/** The value of the key. */
export interface LeaseRecord {
  /** Random for each start of a process. */
  readonly id: string;
  /** The name of the node, for people. */
  readonly node: string;
  /** The number of the write by this process: an answer that was lost is recognized by it. */
  readonly write: number;
}

/** The key as it was read. `record` is `undefined` if nobody holds the lease. */
export interface LeaseKeyState {
  readonly record: LeaseRecord | undefined;
  /** The revision that the next write replaces; 0 if there is none. */
  readonly revision: number;
}

/** A key that several nodes share. It vanishes `LEASE_MILLISECONDS` after it was written. */
export interface LeaseKey {
  /** @throws {Error} if it cannot be read */
  read(): Promise<LeaseKeyState>;

  /**
   * Writes the key if its revision is this one.
   *
   * @returns the new revision
   * @throws {Error} if it has another one, or that is not known
   */
  write(record: LeaseRecord, revision: number): Promise<number>;

  /** Removes the key if its revision is this one. @throws {Error} if it has another one, or that is not known */
  remove(revision: number): Promise<void>;

  /** Calls `listener` when a node has removed the key, as far as that is heard of. */
  onRemoved(listener: () => void): void;
}

/** The key in the bucket. */
const HOLDER = 'holder';

/** An answer that has not come within this time is counted as lost. */
const ASK_MILLISECONDS = 1000;

/** The header by which a bucket marks a removal. */
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

  /** Opens the bucket that `cluster init` made. A missing one is noticed when it is asked. */
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
    // `update` refuses 0, which stands for a key that was never written or has vanished.
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

/** Makes the bucket of the lease, if it is missing. */
export async function makeLeaseBucket(
  client: JetStreamClient,
  prefix: string,
  replicas: number,
): Promise<void> {
  const { Kvm } = await import('@nats-io/kv');
  await new Kvm(client).create(leaseBucketName(prefix), {
    replicas,
    // A bucket in memory is gone, and not only empty, when a single server has been restarted.
    storage: 'file',
    history: 1,
    ttl: LEASE_MILLISECONDS,
  });
}
