import type { Purge, PurgeOutcome } from '../entry.ts';
import type { RetentionTime } from './retention-clock.ts';

/** A kind of upkeep, done in small pieces. */
export interface UpkeepTask {
  /** Whether it has something to do. */
  readonly isDue: boolean;
  /**
   * Does one piece, in a millisecond or less unless the disk is slow. Call it in a transaction.
   *
   * @returns the number of rows it examined
   */
  run(time: RetentionTime): number;
}

/** Proposes a purge and returns its outcome. */
export type ProposePurge = (purge: Purge) => PurgeOutcome;
