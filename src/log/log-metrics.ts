/** Counts since the start. */
export interface LogCounts {
  /** Batches that stored at least one message. */
  readonly stored: number;
  /** Batches in which nothing was new: repeats of an idempotency key, read markers that do not move. */
  readonly repeated: number;
  /** Messages stored. */
  readonly messages: number;
  /** Groups of batches committed together that stored at least one message. */
  readonly commits: number;
  /** Groups that could not be stored. */
  readonly failures: number;
  /** Messages removed because they expired or by retention. */
  readonly purged: number;
}

/** The times of one commit. */
export interface CommitTimes {
  /** How many messages it stored; at least one. */
  readonly messages: number;
  /** The time from the acceptance of its oldest batch until it was on disk. */
  readonly waitSeconds: number;
  /** The duration of the transaction in the writer thread. */
  readonly seconds: number;
  /** The part of `seconds` that the COMMIT took, with its fsync. */
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
  /** The id of the newest message passed to the listeners, or of the newest ever stored; 0 before the first. */
  readonly head: number;
  readonly counts: LogCounts;
  /** Calls `timer` once for each commit that stored something. */
  onTimed(timer: (times: CommitTimes) => void): void;
  /** Returns the sizes of the files. @throws the error of the file system if they cannot be read */
  files(): Promise<LogFiles>;
}
