import type { Logger } from 'pino';
import type { NatsConfig } from '../config/nats.ts';
import { isRoomShort } from '../log/replica/disk-space.ts';
import { sizeText } from '../size-text.ts';
import { removeAbandonedCopy, roomMissing } from '../log/replica/replica-copy.ts';
import type { Catalogue } from './catalogue.ts';
import type { JetStreamLink } from './jetstream-link.ts';
import { snapshotBucket, streamName } from './names.ts';
import { runJob } from './snapshot-job.ts';
import { type Snapshot, tidied, withSnapshot } from './snapshot-list.ts';
import { newId, withAnnouncement } from './transfer.ts';

/** JetStream's code for a stream that does not exist. */
const STREAM_NOT_FOUND = 10059;

/** The surroundings that snapshots are made and used in. */
export interface SnapshotSurroundings {
  readonly connected: Pick<JetStreamLink, 'manager'>;
  readonly catalogue: Catalogue;
  readonly nats: NatsConfig;
  readonly logger: Logger;
  /** Ends running work when it is aborted. */
  readonly signal: AbortSignal;
  /** The program that makes and downloads snapshots, if it is not beside `snapshot-job.ts`. */
  readonly program?: URL;
}

/** The source of a snapshot. */
export interface SnapshotSource {
  /** The path of the database, without links. A service may be writing to it. */
  readonly file: string;
  readonly logId: string;
  /** The generation that the database must have. */
  readonly generation: number;
  /** The generation that the snapshot begins; missing if it stays in the same one. */
  readonly move?: { readonly generation: number };
}

/**
 * Makes a snapshot of a replica: copies it, even while a service writes to it, uploads the copy to its own bucket,
 * reads it back, and adds it to the catalogue. Then removes old snapshots. A failure leaves nothing in the catalogue.
 *
 * @throws {Error} with the reason, as the end of a sentence
 */
export async function makeSnapshot(
  surroundings: SnapshotSurroundings,
  { file, logId, generation, move }: SnapshotSource,
): Promise<Snapshot> {
  const { connected, catalogue, nats, signal, program } = surroundings;
  const began = performance.now();
  const missing = roomMissing(file);
  if (missing > 0)
    throw new Error(`its disk has no room for a copy beside it: ${sizeText(missing)} are missing`);
  const made = move ?? { generation };
  const id = newId();
  const bucket = snapshotBucket(nats.stream, id);
  const stream = await connected.manager.streams.info(streamName(nats.stream, made.generation));
  const { num_replicas: replicas } = stream.config;
  const faultOf = (): string | undefined =>
    isRoomShort(file) ? 'its disk is full: the copy was abandoned, so that the log can go on' : undefined;
  try {
    return await withAnnouncement(surroundings, { kind: 'uploads', id, snapshot: id }, async () => {
      const job = { kind: 'make', nats, bucket, file, replicas, move } as const;
      const { state, schema, bytes, sha256 } = await runJob(job, { signal, faultOf, program });
      if (state.logId !== logId || state.generation !== made.generation) {
        throw new Error(`it has generation ${String(state.generation)} of the log ${state.logId}`);
      }
      const seconds = Math.round(performance.now() - began) / 1000;
      const { sequence, head } = state;
      const about = { id, logId, generation: state.generation, sequence: sequence ?? 0, head };
      const snapshot = { ...about, bytes, sha256, schema, time: await catalogue.now(), seconds };
      await catalogue.changeSnapshots((list) => {
        const entered = withSnapshot(list, snapshot);
        if (entered === undefined) throw new Error('it took so long that its bucket was removed');
        return entered;
      });
      return snapshot;
    });
  } finally {
    // If the disk was full, the process was killed and has left its copy: the log needs the room.
    removeAbandonedCopy(file);
    await tidySnapshots(surroundings);
  }
}

/** Removes old snapshots from the catalogue, and their buckets. Never throws: the next snapshot tries again. */
async function tidySnapshots(surroundings: SnapshotSurroundings): Promise<void> {
  const { catalogue, logger } = surroundings;
  try {
    const { removed } = await catalogue.changeSnapshots(tidied);
    for (const id of removed) await removeBucket(surroundings, id);
    if (removed.length === 0) return;
    await catalogue.changeSnapshots((list) => ({
      ...list,
      removed: list.removed.filter((id) => !removed.includes(id)),
    }));
  } catch (error) {
    logger.warn({ err: error }, 'old snapshots cannot be removed now: the next snapshot tries again');
  }
}

/** Returns whether the bucket of a snapshot still has its data. @throws {Error} if NATS does not answer */
export async function isSnapshotThere(
  { connected, nats }: SnapshotSurroundings,
  { id, bytes }: Snapshot,
): Promise<boolean> {
  try {
    const { state } = await connected.manager.streams.info(streamOfBucket(nats.stream, id));
    return state.bytes >= bytes;
  } catch (error) {
    if ((error as { code?: unknown }).code === STREAM_NOT_FOUND) return false;
    throw error;
  }
}

/** Returns the client's name for the stream of a snapshot's bucket. */
function streamOfBucket(prefix: string, id: string): string {
  return `OBJ_${snapshotBucket(prefix, id)}`;
}

/** Removes the bucket of a snapshot. Does nothing if it does not exist. */
async function removeBucket({ connected, nats }: SnapshotSurroundings, id: string): Promise<void> {
  try {
    await connected.manager.streams.delete(streamOfBucket(nats.stream, id));
  } catch (error) {
    if ((error as { code?: unknown }).code !== STREAM_NOT_FOUND) throw error;
  }
}
