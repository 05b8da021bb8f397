import type { LogRecord } from './catalogue.ts';
import { realFile } from '../files/real-file.ts';
import { streamInfo } from './generation.ts';
import { isSnapshotThere, makeSnapshot, type SnapshotSurroundings } from './snapshot.ts';
import { newestOf, type Snapshot, trimBound } from './snapshot-list.ts';

/** A snapshot is made after this time, or after this many messages. */
const DAY_MILLISECONDS = 24 * 3_600_000;
const MANY_MESSAGES = 10_000_000;

/**
 * The next snapshot waits for this many times the duration of the last one, so that they take at most a fifth of the
 * time.
 */
const REST = 4;

/** A failed snapshot is tried again after this time, or later if it took long. */
const AGAIN_MILLISECONDS = 10 * 60_000;

/** The interval between checks for work. */
const LOOK_MILLISECONDS = 60_000;

/** A failed attempt. */
interface FailedSnapshot {
  /** The time at which it ended, in milliseconds since the Unix epoch. */
  readonly time: number;
  readonly seconds: number;
}

/** The facts that decide whether a snapshot is due. Times are in milliseconds since the Unix epoch. */
export interface SnapshotTimes {
  readonly now: number;
  /** The highest assigned id. */
  readonly head: number;
  /** The time at which the log began or moved to another generation. */
  readonly recordedAt: number;
  readonly newest: Pick<Snapshot, 'time' | 'seconds' | 'head'> | undefined;
  readonly failed: FailedSnapshot | undefined;
}

/**
 * Returns whether a snapshot should be made now. A time after `now` comes from a wrong clock and counts as long past.
 */
export function isSnapshotDue({ now, head, recordedAt, newest, failed }: SnapshotTimes): boolean {
  const passed = (time: number): number => (time > now ? Infinity : now - time);
  const rests = (end: number, seconds: number, least: number): boolean =>
    passed(end) < Math.max(least, REST * seconds * 1000);
  if (failed !== undefined && rests(failed.time, failed.seconds, AGAIN_MILLISECONDS)) return false;
  if (newest !== undefined && rests(newest.time, newest.seconds, 0)) return false;
  const since = newest?.time ?? recordedAt;
  return passed(since) >= DAY_MILLISECONDS || head - (newest?.head ?? 0) >= MANY_MESSAGES;
}

/** The options of the keeper of snapshots. */
export interface SnapshotKeeperOptions {
  readonly surroundings: SnapshotSurroundings;
  readonly record: LogRecord;
  /** The path of this node's database, as the operator gave it. */
  readonly database: string;
  /** Whether this node holds the lease. */
  readonly isHolder: () => boolean;
  /** Returns the highest assigned id. */
  readonly head: () => number;
  /**
   * Returns the sequences applied by the nodes seen in the last 15 minutes.
   *
   * @returns `undefined` while they are unknown; then nothing is trimmed
   */
  readonly positions: () => readonly number[] | undefined;
  /** Returns milliseconds since the Unix epoch; if missing, NATS's clock is used. */
  readonly now?: () => Promise<number>;
}

/**
 * Makes snapshots and trims the stream while this node holds the lease. It is harmless if two nodes do either for a
 * moment.
 */
export class SnapshotKeeper {
  readonly #options: SnapshotKeeperOptions;
  #failed: FailedSnapshot | undefined;
  #timer: NodeJS.Timeout | undefined;
  #keeping: Promise<void> | undefined;

  constructor(options: SnapshotKeeperOptions) {
    this.#options = options;
  }

  /** Starts checking for work. */
  start(): void {
    this.#timer = setInterval(() => {
      this.#keeping ??= this.keep().finally(() => (this.#keeping = undefined));
    }, LOOK_MILLISECONDS);
    this.#timer.unref();
  }

  /** Stops, and waits until work in progress has ended. Abort the signal of the surroundings first. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#keeping;
  }

  /** Does the work that is due, if this node holds the lease. Never rejects. */
  async keep(): Promise<void> {
    const { isHolder, surroundings } = this.#options;
    try {
      if (isHolder()) await this.#makeIfDue();
      if (isHolder()) await this.#trim();
    } catch (error) {
      if (surroundings.signal.aborted) return;
      surroundings.logger.warn(
        { err: error },
        'the snapshots in NATS cannot be checked now: another attempt follows',
      );
    }
  }

  async #makeIfDue(): Promise<void> {
    const { surroundings, record, database, head } = this.#options;
    const { catalogue, logger, signal } = surroundings;
    const now = await (this.#options.now?.() ?? catalogue.now());
    const { logId, generation } = record;
    const newest = newestOf(await catalogue.snapshots(), generation);
    const times = { now, head: head(), recordedAt: await catalogue.recordedAt(), newest };
    if (!isSnapshotDue({ ...times, failed: this.#failed })) return;
    const began = performance.now();
    try {
      const { id, sequence, bytes, seconds } = await makeSnapshot(surroundings, {
        file: realFile(database),
        logId,
        generation,
      });
      this.#failed = undefined;
      logger.info({ snapshot: id, sequence, bytes, seconds }, 'a snapshot was made');
    } catch (error) {
      if (signal.aborted) return;
      const took = performance.now() - began;
      this.#failed = { time: now + took, seconds: took / 1000 };
      logger.error(
        { why: (error as Error).message },
        'no snapshot was made: the stream in NATS grows until one is; another attempt follows in some minutes',
      );
    }
  }

  /** Removes entries from the stream that no node and no snapshot needs. */
  async #trim(): Promise<void> {
    const { surroundings, record, positions } = this.#options;
    const { connected, catalogue, nats, logger } = surroundings;
    const { generation } = record;
    const info = await streamInfo(connected, nats.stream, generation);
    const list = await catalogue.snapshots();
    const newest = newestOf(list, generation);
    if (info === undefined || newest === undefined || !(await isSnapshotThere(surroundings, newest))) return;
    const applied = positions();
    if (applied === undefined) return;
    const through = trimBound(list, generation, applied);
    if (through < info.state.first_seq) return;
    const { purged } = await connected.manager.streams.purge(info.config.name, { seq: through + 1 });
    logger.info({ through, entries: purged }, 'the stream was trimmed');
  }
}
