import type { Purge, PurgeOutcome } from '../entry.ts';
import type { RetentionTime } from './retention-clock.ts';

/** A kind of upkeep that is done in small pieces. */
export interface UpkeepTask {
  /** Whether there is something to do. */
  readonly isDue: boolean;
  /**
   * Does one piece, in a millisecond or less unless the disk is slow. Call it in a transaction.
   *
   * @returns the number of rows it looked at
   */
  run(time: RetentionTime): number;
}

/** Proposes a purge and returns its outcome. */
export type ProposePurge = (purge: Purge) => PurgeOutcome;
