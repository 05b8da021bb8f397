import { randomBytes } from 'node:crypto';
import type { EntryStream } from '../log/order/entry-stream.ts';
import { Bus, type BusLine } from './bus.ts';
import { Catalogue, type LogRecord } from './catalogue.ts';
import { connectJetStream, type JetStreamLink, type JetStreamSurroundings } from './jetstream-link.ts';
import { JetStreamEntries } from './entry-stream.ts';
import { Leadership, type LeadershipOptions } from './leadership.ts';
import { type LeaseKey, type LeaseRecord, NatsLeaseKey } from './lease-key.ts';
import type { NatsLink } from './nats-link.ts';
import { askFlushing, flushingOfAll, warnUnlessFlushing } from './sync-check.ts';
import { busSubject } from './names.ts';
import { patiently } from './patiently.ts';
import { ClusterPeers, type PeersOptions } from './peers.ts';
import { prepareReplica } from './join.ts';
import type { SnapshotSurroundings } from './snapshot.ts';
import { SnapshotKeeper, type SnapshotKeeperOptions } from './snapshot-keeper.ts';
import { newestOf } from './snapshot-list.ts';

/** The options of `ClusterPeers`, and a function that returns the holder of the lease. */
type PeersOfCluster = Omit<PeersOptions, 'bus' | 'name' | 'stream' | 'sources'> & {
  readonly lease: () => LeaseRecord | undefined;
};

/** This node's side of a cluster: the connection to NATS, the log stored there, and the other nodes. */
export class Cluster {
  readonly record: LogRecord;
  readonly stream: EntryStream;
  readonly #leaseKey: LeaseKey;
  /** The bus. Its `id` is the id of this node. */
  readonly bus: Bus;
  readonly #surroundings: SnapshotSurroundings;
  readonly #link: NatsLink;
  readonly #name: string;

  private constructor(
    record: LogRecord,
    stream: EntryStream,
    surroundings: SnapshotSurroundings,
    leaseKey: LeaseKey,
    link: NatsLink,
  ) {
    this.record = record;
    this.stream = stream;
    this.#surroundings = surroundings;
    this.#leaseKey = leaseKey;
    this.#link = link;
    const { nats } = surroundings;
    this.#name = nats.nodeName;
    this.bus = new Bus(busLine(link, busSubject(nats.stream)), randomBytes(9).toString('base64url'), record);
  }

  /**
   * Connects to a cluster made by `cluster init`.
   *
   * @returns `undefined` if the signal was aborted
   * @throws {StartError} if NATS cannot be used, or has no log
   */
  static async open(surroundings: JetStreamSurroundings): Promise<Cluster | undefined> {
    const { config, logger, signal } = surroundings;
    const { stream: prefix } = config;
    const connected = await connectJetStream(surroundings);
    if (connected === undefined) return undefined;
    const { link, client, manager } = connected;
    try {
      const opened = await patiently(() => openLog(connected, prefix), signal, unreadable);
      if (opened === undefined) {
        await link.close();
        return undefined;
      }
      const { catalogue, record, leaseKey } = opened;
      const { generation } = record;
      const stream = new JetStreamEntries({
        client,
        manager,
        prefix,
        generation,
        maxPayload: link.maxPayload,
      });
      // The start does not wait for this check.
      void warnUnlessFlushing(config.monitorUrls, logger);
      return new Cluster(
        record,
        stream,
        { connected, catalogue, nats: config, logger, signal },
        leaseKey,
        link,
      );
    } catch (error) {
      await link.close();
      throw error;
    }
  }

  /** Returns this node's part in the leadership, which does nothing before its start. */
  leadership(options: Omit<LeadershipOptions, 'key' | 'stream' | 'id' | 'node'>): Leadership {
    return new Leadership({
      ...options,
      key: this.#leaseKey,
      stream: this.stream,
      id: this.bus.id,
      node: this.#name,
    });
  }

  /** Creates the view of the other nodes. It does nothing before its start. */
  peers({ lease, ...options }: PeersOfCluster): ClusterPeers {
    const { catalogue, nats } = this.#surroundings;
    const { generation } = this.record;
    const sources = {
      lease: () => {
        const holder = lease();
        return holder && { id: holder.id, name: holder.node };
      },
      snapshot: async () => newestOf(await catalogue.snapshots(), generation),
      flushes: async () => flushingOfAll(await askFlushing(nats.monitorUrls)),
    };
    return new ClusterPeers({ bus: this.bus, name: this.#name, stream: this.stream, sources, ...options });
  }

  /** Creates the keeper of snapshots, which works while this node holds the lease. It does nothing before its start. */
  snapshots(options: Omit<SnapshotKeeperOptions, 'surroundings' | 'record'>): SnapshotKeeper {
    return new SnapshotKeeper({ surroundings: this.#surroundings, record: this.record, ...options });
  }

  /**
   * Prepares the database of this node to follow the stream. Replaces it by a snapshot if it cannot follow as it is.
   *
   * @param database the path, as the operator gave it
   * @param keepsCopy whether to keep a copy of a database of an older version before it is migrated
   * @throws {StartError} if this node cannot join
   */
  prepareReplica(database: string, keepsCopy: boolean): Promise<void> {
    const { record, stream } = this;
    return prepareReplica(this.#surroundings, { database, keepsCopy, record, stream });
  }

  /** Closes the connection. */
  close(): Promise<void> {
    return this.#link.close();
  }
}

/**
 * Opens the data in NATS beside the stream.
 *
 * @throws {StartError} if it does not exist; {Error} if NATS does not answer
 */
async function openLog({ link, client }: JetStreamLink, prefix: string) {
  const catalogue = await Catalogue.open(client, prefix);
  const record = await catalogue.existingLog();
  const leaseKey = await NatsLeaseKey.open(link.connection, client, prefix);
  return { catalogue, record, leaseKey };
}

function unreadable({ message }: Error): string {
  return `NATS cannot say which log it has (${message}): are most of its servers up? Start again when they are.`;
}

/** Wraps a subject of NATS as the line of a bus. */
function busLine(link: NatsLink, subject: string): BusLine {
  return {
    get isConnected() {
      return link.isConnected;
    },
    publish: (bytes) => link.connection.publish(subject, bytes),
    subscribe: (onBytes) => {
      const subscription = link.connection.subscribe(subject, {
        callback: (error, message) => {
          if (error === null) onBytes(message.data);
        },
      });
      return () => subscription.unsubscribe();
    },
  };
}
