import type { LogFiles, LogMetrics } from '../log/log-metrics.ts';
import { LogUnavailable } from '../log/message-log.ts';
import type { Readiness } from '../log/readiness.ts';
import type { Instruments } from './instruments.ts';

const SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** The last one is the size of the largest commit. */
const MESSAGES = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2048];

/** Measures the log: its commits, its size, and whether it can be written and read. */
export function measureLog(
  instruments: Instruments,
  { log, readiness }: { log: LogMetrics; readiness: Readiness },
): void {
  measureCommits(instruments, log);
  instruments.gauge(
    'tidings_log_ready',
    'Whether the log can be written and read, tried at each scrape as by /readyz: 1 or 0.',
    () => isReady(readiness),
  );
  instruments.gauge('tidings_log_head_id', 'The highest id of a message so far.', () => log.head);
  instruments.gauges(
    'tidings_log_size_bytes',
    'Size of the files of the log, by file: database, wal (the write-ahead log).',
    ['file'],
    async () => {
      const { database, wal } = await filesOf(log);
      return [
        [{ file: 'database' }, database],
        [{ file: 'wal' }, wal],
      ];
    },
  );
  instruments.gauge(
    'tidings_log_disk_available_bytes',
    'Bytes that are available on the disk of the log.',
    async () => (await filesOf(log)).available,
  );
  instruments.counter(
    'tidings_messages_purged_total',
    'Messages that were removed from the log, because they expired or by retention.',
    () => log.counts.purged,
  );
}

function measureCommits(instruments: Instruments, log: LogMetrics): void {
  instruments.counter(
    'tidings_commits_total',
    'Commits that stored messages: each makes all waiting publishes durable.',
    () => log.counts.commits,
  );
  instruments.counter(
    'tidings_commit_failures_total',
    'Commits that failed: none of their publishes was stored.',
    () => log.counts.failures,
  );
  const messages = instruments.histogram('tidings_commit_size_messages', 'Messages in a commit.', MESSAGES);
  const wait = instruments.histogram(
    'tidings_commit_wait_seconds',
    'Seconds from accepting the oldest publish of a commit until it was on disk.',
    SECONDS,
  );
  const duration = instruments.histogram(
    'tidings_commit_duration_seconds',
    'Seconds that the transaction of a commit took in the writer thread.',
    SECONDS,
  );
  const sync = instruments.histogram(
    'tidings_commit_sync_seconds',
    'Seconds that a transaction took to become durable: COMMIT, the fsync, and sometimes a checkpoint.',
    SECONDS,
  );
  log.onTimed((times) => {
    messages(times.messages);
    wait(times.waitSeconds);
    duration(times.seconds);
    sync(times.syncSeconds);
  });
}

/** Returns the sizes of the files; NaN if they cannot be read, since the other metrics must still be exported. */
async function filesOf(log: LogMetrics): Promise<LogFiles> {
  try {
    return await log.files();
  } catch {
    return { database: NaN, wal: NaN, available: NaN };
  }
}

async function isReady(readiness: Readiness): Promise<number> {
  try {
    await readiness.check();
    return 1;
  } catch (error) {
    if (error instanceof LogUnavailable) return 0;
    throw error;
  }
}
