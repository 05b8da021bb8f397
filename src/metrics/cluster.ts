import type { Instruments } from './instruments.ts';

/** The measurements of this node's part in a cluster. */
export interface ClusterMetrics {
  /** How many other nodes are up. */
  readonly others: number;
  /** Whether entries arrive. */
  readonly hears: boolean;
  /** How often a node was found to have a different state. */
  readonly mismatches: number;
  readonly entries: { readonly applied: number; readonly nothing: number; readonly retried: number };
  readonly bus: Readonly<Record<'sent' | 'received' | 'malformed' | 'foreign' | 'ignored', number>>;
  /** Returns how many entries are not applied yet; NaN if that is unknown. */
  lag(): Promise<number>;
}

/** Measures this node's part in a cluster. */
export function measureCluster(instruments: Instruments, cluster: ClusterMetrics): void {
  instruments.gauge(
    'tidings_cluster_lag_entries',
    'Entries in the NATS stream that this node has not applied yet; NaN if NATS does not answer.',
    () => cluster.lag(),
  );
  instruments.gauge(
    'tidings_cluster_hears',
    'Whether an entry of the stream arrived within the last 20 s: 1 or 0.',
    () => (cluster.hears ? 1 : 0),
  );
  instruments.gauge(
    'tidings_cluster_nodes',
    'Nodes that are up, including this one: a heartbeat arrived within the last 5 s.',
    () => cluster.others + 1,
  );
  instruments.counters(
    'tidings_cluster_entries_applied_total',
    'Entries of the stream that this node has processed, by result: applied, nothing (unreadable, late, or not to be applied by any node).',
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
    'How often this node, or another one as seen from here, was found to have a different state than the others.',
    () => cluster.mismatches,
  );
  instruments.counters(
    'tidings_cluster_bus_messages_total',
    'Messages between nodes that are not stored in the log, by result: sent, received, malformed (in no known form), foreign (of another log, or another generation of its stream), ignored (received, but from more nodes or about more addresses than are kept).',
    ['result'],
    () => Object.entries(cluster.bus).map(([result, count]) => [{ result }, count]),
  );
}
