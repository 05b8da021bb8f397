import type { Instruments } from './instruments.ts';

/** A cluster, as far as this node is measured in it. */
export interface ClusterMetrics {
  /** How many other nodes are there. */
  readonly others: number;
  /** Whether entries come. */
  readonly hears: boolean;
  /** How often a node was found to have another state. */
  readonly mismatches: number;
  readonly entries: { readonly applied: number; readonly nothing: number; readonly retried: number };
  readonly bus: Readonly<Record<'sent' | 'received' | 'malformed' | 'foreign' | 'ignored', number>>;
  /** Returns how many entries are not applied yet; NaN if that cannot be known. */
  lag(): Promise<number>;
}

/** Measures this node's part in a cluster. */
export function measureCluster(instruments: Instruments, cluster: ClusterMetrics): void {
  instruments.gauge(
    'tidings_cluster_lag_entries',
    'Entries in the stream of NATS that this node has not applied yet; NaN if NATS does not answer.',
    () => cluster.lag(),
  );
  instruments.gauge(
    'tidings_cluster_hears',
    'Whether an entry of the stream came within the last 20 s: 1 or 0.',
    () => (cluster.hears ? 1 : 0),
  );
  instruments.gauge(
    'tidings_cluster_nodes',
    'Nodes that are there, this one among them: a heartbeat came within the last 5 s.',
    () => cluster.others + 1,
  );
  instruments.counters(
    'tidings_cluster_entries_applied_total',
    'Entries of the stream that this node has applied, by result: applied, nothing (unreadable, late, or not to be applied by any node).',
    ['result'],
    () => {
      const { applied, nothing } = cluster.entries;
      return [
        [{ result: 'applied' }, applied - nothing],
        [{ result: 'nothing' }, nothing],
      ];
    },
  );
  instruments.counter(
    'tidings_cluster_proposals_retried_total',
    'How often this node appended an entry again because NATS had not confirmed it.',
    () => cluster.entries.retried,
  );
  instruments.counter(
    'tidings_cluster_digest_mismatches_total',
    'How often this node, or another one as it sees it, was found to have another state than the others.',
    () => cluster.mismatches,
  );
  instruments.counters(
    'tidings_cluster_bus_messages_total',
    'Messages between nodes that no log keeps, by result: sent, received, malformed (of no known form), foreign (of another log, or another generation of its stream), ignored (received, but of more nodes or addresses than are kept).',
    ['result'],
    () => Object.entries(cluster.bus).map(([result, count]) => [{ result }, count]),
  );
}
