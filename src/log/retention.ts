/** How long messages are kept, and how many; 0 keeps all. */
export interface Retention {
  readonly days: number;
  /** For one recipient. Current read markers are kept as well. */
  readonly messages: number;
}

/** Retention that keeps everything. */
export const KEEPS_ALL: Retention = { days: 0, messages: 0 };
