import type { NatsConfig } from '../config/nats.ts';
import { sizeText } from '../size-text.ts';
import type { Retention } from '../log/retention.ts';
import type { Catalogue, LogRecord } from './catalogue.ts';
import type { JetStreamLink } from './jetstream-link.ts';
import { streamInfo } from './generation.ts';
import { NatsLeaseKey } from './lease-key.ts';
import { streamName } from './names.ts';
import { type HeardNode, listenForNodes } from './roll-call.ts';
import type { Snapshot } from './snapshot-list.ts';
import { askFlushing, type Flushing, flushingOfAll, whyUnknown } from './sync-check.ts';

/** The state of the stream of a log. */
interface StreamStatus {
  readonly name: string;
  /** The sequences of the oldest remaining entry and of the newest ever. */
  readonly first: number;
  readonly last: number;
  readonly bytes: number;
  readonly replicas: number;
  /** The servers whose copy is behind the leader's. */
  readonly behind: readonly string[];
  /** The leading server; `undefined` while there is none, or with a single server. */
  readonly leader: string | undefined;
}

/** A node whose heartbeat was received. */
interface NodeStatus extends HeardNode {
  /** The number of entries of the stream that it has not applied; `null` if it follows no stream or a different one. */
  readonly lag: number | null;
}

/** The state of a cluster. */
export interface ClusterStatus {
  readonly logId: string;
  readonly generation: number;
  /** `undefined` if NATS has lost it. */
  readonly stream: StreamStatus | undefined;
  /** The snapshots, the newest first. */
  readonly snapshots: readonly Snapshot[];
  /** The numbers of snapshots being uploaded and downloaded. */
  readonly uploads: number;
  readonly downloads: number;
  /** The nodes whose heartbeats were received, sorted by name. */
  readonly nodes: readonly NodeStatus[];
  /** The name of the node that holds the lease; `null` if no node does, or it is unknown. */
  readonly lease: string | null;
  /** Whether NATS flushes before it acknowledges. */
  readonly flushes: Flushing;
  /** Why it is unknown whether NATS flushes; `null` if it is known. */
  readonly flushesWhy: string | null;
}

/**
 * Asks NATS for the state of a cluster, and listens for its nodes for a little more than a second.
 *
 * @throws {Error} if NATS does not answer
 */
export async function statusOf(
  connected: JetStreamLink,
  { catalogue, record, nats }: { catalogue: Catalogue; record: LogRecord; nats: NatsConfig },
): Promise<ClusterStatus> {
  const { logId, generation } = record;
  const { connection } = connected.link;
  const heard = await listenForNodes(connection, nats.stream, logId);
  const info = await streamInfo(connected, nats.stream, generation);
  const { snapshots, uploads, downloads } = await catalogue.snapshots();
  const { config, state, cluster } = info ?? {};
  const stream =
    config === undefined || state === undefined
      ? undefined
      : {
          name: streamName(nats.stream, generation),
          first: Math.max(1, state.first_seq),
          last: state.last_seq,
          bytes: state.bytes,
          replicas: config.num_replicas,
          behind: (cluster?.replicas ?? []).filter(({ current }) => !current).map(({ name }) => name),
          leader: cluster?.leader,
        };
  const lagOf = (node: HeardNode): number | null =>
    stream === undefined || node.generation !== generation ? null : Math.max(0, stream.last - node.position);
  const servers = await askFlushing(nats.monitorUrls);
  return {
    logId,
    generation,
    stream,
    nodes: heard.map((node) => ({ ...node, lag: lagOf(node) })),
    lease: await holderOf(connected, nats.stream),
    snapshots,
    uploads: uploads.length,
    downloads: downloads.length,
    flushes: flushingOfAll(servers),
    flushesWhy: whyUnknown(servers) ?? null,
  };
}

async function holderOf({ link, client }: JetStreamLink, prefix: string): Promise<string | null> {
  try {
    const key = await NatsLeaseKey.open(link.connection, client, prefix);
    return (await key.read()).record?.node ?? null;
  } catch {
    return null;
  }
}

/** Formats the state of a cluster as lines of text. */
export function statusText(status: ClusterStatus): string {
  const { logId, generation, stream, snapshots, uploads, downloads, nodes, lease } = status;
  const lines = [
    `log        ${logId}`,
    `generation ${generation}`,
    `stream     ${stream === undefined ? 'NATS has lost it: see cluster reseed' : streamText(stream)}`,
    ...(snapshots.length === 0 ? ['snapshot   none'] : snapshots.map(snapshotText)),
    ...(uploads + downloads === 0 ? [] : [`transfers  ${uploads} to NATS, ${downloads} from NATS`]),
    `flushes    ${status.flushes}${status.flushesWhy === null ? '' : ` (${status.flushesWhy})`}`,
    ...(nodes[0] === undefined ? [] : [`retention  ${retentionText(nodes[0].retention)}`]),
    `lease      ${lease ?? 'nobody'}`,
    ...(nodes.length === 0 ? ['node       none was heard'] : nodes.map((node) => nodeText(node, generation))),
  ];
  return `${lines.join('\n')}\n`;
}

function streamText({ name, first, last, bytes, replicas, behind, leader }: StreamStatus): string {
  const copies = `${replicas} ${replicas === 1 ? 'copy' : 'copies'}`;
  const led = leader === undefined ? '' : `, led by ${leader}`;
  const late = behind.length === 0 ? '' : `, behind: ${behind.join(' ')}`;
  return `${name}: entries ${first} to ${last}, ${sizeText(bytes)}, ${copies}${led}${late}`;
}

function snapshotText({ id, generation, sequence, head, bytes, time, seconds }: Snapshot): string {
  const made = `${new Date(time).toISOString()}, in ${seconds} s`;
  return `snapshot   ${id}: generation ${generation}, entry ${sequence}, message ${head}, ${sizeText(bytes)}, ${made}`;
}

function nodeText(node: NodeStatus, followed: number): string {
  const { name, version, generation, position, digest, lag, unready, divergedAt } = node;
  const after =
    digest === null
      ? 'no digest yet (each 1,000 entries have one)'
      : `digest after ${digest.sequence} ${digest.digest}`;
  return [
    `node       ${name}: ${generation === followed ? '' : `generation ${generation}, `}entry ${position}`,
    after,
    ...(lag === null ? [] : [`lag ${lag}`]),
    ...(divergedAt === null ? [] : [`stopped: it differs after entry ${divergedAt}`]),
    unready === null ? 'ready' : `not ready: ${unready}`,
    `version ${version}`,
  ].join(', ');
}

/** Describes a retention in words. */
export function retentionText({ days, messages }: Retention): string {
  const kept = days === 0 ? 'all messages' : `messages for ${days} ${days === 1 ? 'day' : 'days'}`;
  return messages === 0 ? kept : `${kept}, but only the newest ${messages} of each recipient`;
}
