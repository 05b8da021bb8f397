import { setTimeout as wait } from 'node:timers/promises';
import { explain } from '../files/explain.ts';
import { ClusterRetention } from './cluster-retention.ts';
import type { EntryAddress } from './order/entry-codec.ts';
import type { EntryStream } from './order/entry-stream.ts';
import { JetStreamOrder } from './order/jetstream.ts';
import { joinCluster, type LogToJoin } from './replica/join-cluster.ts';
import { Replica, type ReplicaOptions } from './replica/replica.ts';
import { ReplicatedLog } from './replicated-log.ts';
import type { Retention } from './retention.ts';

/** The options of a log on several machines. */
export interface ClusterLogOptions extends Omit<ReplicaOptions, 'prepare' | 'isLocal'> {
  readonly stream: EntryStream;
  /** The log whose entries the stream carries. */
  readonly address: EntryAddress & LogToJoin;
  /** Ends the wait for the stream. */
  readonly signal: AbortSignal;
}

/** An open log on several machines. */
export interface ClusterLog {
  readonly log: ReplicatedLog;
  readonly order: JetStreamOrder;
  /** Returns why no entry can be applied or proposed now; `undefined` if one can. */
  refusing(): string | undefined;
  /** The retention of the cluster, as this node knows it. */
  readonly retention: () => Retention;
  /** Starts or stops proposing removals by the cluster's retention. */
  lead(leads: boolean): void;
}

/**
 * The time a starting node waits to catch up. After it, the node goes on starting but serves nobody until it has caught
 * up.
 */
const JOIN_MILLISECONDS = 5000;
const LOOK_MILLISECONDS = 20;

/**
 * Opens a log on several machines: this process has one of the replicas, and a stream shared by all of them decides the
 * order. Waits up to a few seconds for the replica to catch up with the stream, so that the first request is served.
 *
 * @throws {StartError} with a line for the person who starts the service; nothing stays open
 */
export async function openClusterLog({
  stream,
  address,
  signal,
  ...options
}: ClusterLogOptions): Promise<ClusterLog> {
  const { file, now, logger, onFatal } = options;
  const replica = await Replica.open({
    ...options,
    isLocal: false,
    prepare: (database) => joinCluster(database, address),
  });
  try {
    const opened = explain(file, (): ClusterLog => {
      const { sequence, mark } = replica.store.position();
      const order = new JetStreamOrder({
        stream,
        replica,
        address,
        after: sequence ?? 0,
        mark,
        logger,
        onFatal,
      });
      const log = new ReplicatedLog({ replica, order, now });
      const retention = new ClusterRetention({ replica, order, logger, configured: options.retention });
      order.start((group) => {
        retention.applied(group);
        return log.deliver(group);
      });
      return {
        log,
        order,
        refusing: () => replica.refusing ?? order.refusing,
        retention: () => retention.setting,
        lead: (leads) => retention.lead(leads),
      };
    });
    await join(opened.order, signal);
    return opened;
  } catch (error) {
    await replica.close();
    throw error;
  }
}

async function join(order: JetStreamOrder, signal: AbortSignal): Promise<void> {
  const end = performance.now() + JOIN_MILLISECONDS;
  while (order.state === 'joining' && performance.now() < end && !signal.aborted)
    await wait(LOOK_MILLISECONDS);
}
