/** Counts since the start. */
export interface LogCounts {
  /** Batches that stored at least one message. */
  readonly stored: number;
  /** Batches in which nothing was new: repeats of an idempotency key, read markers that do not move. */
  readonly repeated: number;
  /** Messages stored. */
  readonly messages: number;
  /** Groups of batches made durable together that stored at least one message. */
  readonly commits: number;
  /** Groups that could not be stored. */
  readonly failures: number;
  /** Messages that expired or that retention removed. */
  readonly purged: number;
}

/** The times of one commit. */
export interface CommitTimes {
  /** How many messages it stored; at least one. */
  readonly messages: number;
  /** The time from the acceptance of its oldest batch until it was on disk. */
  readonly waitSeconds: number;
  /** The transaction, in the writer thread. */
  readonly seconds: number;
  /** The part of `seconds` in which it was made durable: the COMMIT, with its fsync. */
  readonly syncSeconds: number;
}

/** The sizes of the log's files, in bytes. */
export interface LogFiles {
  readonly database: number;
  /** The write-ahead log. */
  readonly wal: number;
  /** The free space on their disk. */
  readonly available: number;
}

/** The measurements of a log. */
export interface LogMetrics {
  /** The id of the newest message that was handed on, or of the newest ever; 0 before the first. */
  readonly head: number;
  readonly counts: LogCounts;
  /** Calls `timer` once for each commit that stored something. */
  onTimed(timer: (times: CommitTimes) => void): void;
  /** Looks at the files. @throws the error of the file system if they cannot be looked at */
  files(): Promise<LogFiles>;
}
