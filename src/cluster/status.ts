import type { EntryStream, StreamExtent } from '../log/order/entry-stream.ts';
import type { JetStreamOrder } from '../log/order/jetstream.ts';
import { inTime } from './in-time.ts';
import type { Retention } from '../log/retention.ts';
import type { Member, Members } from './members.ts';

/** The longest wait for an answer of NATS. */
const ASK_MILLISECONDS = 1500;

/**
 * The sources of facts that other parts of a cluster know. If a source is missing or late, its fact is shown as
 * unknown.
 */
export interface StatusSources {
  /** Returns the node that holds the lease. */
  readonly lease?: () => NodeName | undefined;
  /** Returns the newest snapshot. */
  readonly snapshot?: () => Promise<object | undefined>;
  /** Returns whether NATS flushes before it acknowledges. */
  readonly flushes?: () => Promise<Flushes>;
}

/** A node: its id, and its name for people. */
export interface NodeName {
  readonly id: string;
  readonly name: string;
}

/** Whether all servers of NATS flush before they acknowledge. */
type Flushes = 'yes' | 'no' | 'unknown';

/** The state of a cluster in the form of `GET /cluster`. */
export interface ClusterView {
  /** The id of the node that answers. */
  readonly node: string;
  readonly nodes: readonly NodeView[];
  readonly log: LogView;
  readonly retention: Retention;
  readonly lease: NodeName | null;
  readonly snapshot: object | null;
  readonly natsFlushes: Flushes;
}

/** A node, as described by its newest heartbeat. */
export interface NodeView {
  readonly id: string;
  readonly name: string;
  readonly version: string;
  readonly ready: boolean;
  /** Why it is not ready; `null` if it is. */
  readonly why: string | null;
  /** The sequence after which it differed from the others and has stopped; `null` if it has not. */
  readonly divergedAt: number | null;
  readonly position: number;
  /** The number of entries that it has not applied; `null` if the end of the stream is unknown. */
  readonly lag: number | null;
  readonly connections: number;
  readonly since: string;
}

/** The stream. Values that NATS did not report are `null`. */
export interface LogView {
  readonly logId: string | null;
  readonly generation: number | null;
  readonly first: number | null;
  readonly last: number | null;
}

/** The options of the status of a cluster. */
export interface ClusterStatusOptions {
  readonly members: Members;
  readonly order: Pick<JetStreamOrder, 'through'>;
  readonly stream: Pick<EntryStream, 'extent'>;
  readonly sources: StatusSources;
}

/** The state of a cluster, for people and for metrics. */
export class ClusterStatus {
  readonly #options: ClusterStatusOptions;
  /** The pending request, shared by all who ask at the same time. */
  #asking: Promise<StreamExtent | undefined> | undefined;

  constructor(options: ClusterStatusOptions) {
    this.#options = options;
  }

  /**
   * Returns the number of entries of the stream that this node has not applied; NaN if NATS does not report the end of
   * the stream.
   */
  async lag(): Promise<number> {
    const extent = await this.#extent();
    return extent === undefined ? NaN : Math.max(0, extent.last - this.#options.order.through);
  }

  /** Returns the cluster as this node sees it. Does not reject if NATS does not answer. */
  async view(): Promise<ClusterView> {
    const { members, sources } = this.#options;
    const [extent, snapshot, natsFlushes] = await Promise.all([
      this.#extent(),
      ifKnown(sources.snapshot?.()),
      ifKnown(sources.flushes?.()),
    ]);
    const { self } = members;
    const nodes = [self, ...members.others].sort((one, other) => (one.name < other.name ? -1 : 1));
    return {
      node: self.id,
      nodes: nodes.map((node) => viewOf(node, extent?.last)),
      log: {
        logId: extent?.logId ?? null,
        generation: extent?.generation ?? null,
        first: extent?.first ?? null,
        last: extent?.last ?? null,
      },
      retention: self.retention,
      lease: sources.lease?.() ?? null,
      snapshot: snapshot ?? null,
      natsFlushes: natsFlushes ?? 'unknown',
    };
  }

  #extent(): Promise<StreamExtent | undefined> {
    this.#asking ??= ifKnown(this.#options.stream.extent()).finally(() => (this.#asking = undefined));
    return this.#asking;
  }
}

function viewOf(node: Member, last: number | undefined): NodeView {
  const { id, name, version, unready, divergedAt, through, connections, since } = node;
  return {
    id,
    name,
    version,
    ready: unready === null,
    why: unready,
    divergedAt,
    position: through,
    lag: last === undefined ? null : Math.max(0, last - through),
    connections,
    since: new Date(since).toISOString(),
  };
}

/** Returns the result of a promise; `undefined` if it fails or takes too long. */
async function ifKnown<T>(asked: Promise<T> | undefined): Promise<T | undefined> {
  return asked === undefined ? undefined : inTime(asked, ASK_MILLISECONDS).catch(() => undefined);
}
