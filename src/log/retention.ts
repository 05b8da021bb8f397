/** The bounds on how long messages are kept, and how many; 0 means no bound. */
export interface Retention {
  readonly days: number;
  /** The number per recipient. Current read markers are kept in addition. */
  readonly messages: number;
}

/** Retention that keeps everything. */
export const KEEPS_ALL: Retention = { days: 0, messages: 0 };
