import type { DigestAt } from '../entry.ts';
import type { AppliedGroup } from './applied-group.ts';

/** How many digests are kept, the newest. */
const KEPT_DIGESTS = 16;

/** The entries of an order since the start. */
export interface EntryCounts {
  /** Entries that were applied. */
  readonly applied: number;
  /** Those of them that changed nothing, since they were unreadable, late or could not be applied. */
  readonly nothing: number;
  /** How often an entry of this node was appended again, since that was not confirmed. */
  readonly retried: number;
}

/** A record of the entries that were applied since the start. */
export class EntryRecord {
  applied = 0;
  nothing = 0;
  /** The newest digests, the oldest first. */
  digests: readonly DigestAt[] = [];

  /** Notes a group that was applied. */
  note({ entries, outcomes, digests = [] }: AppliedGroup): void {
    this.applied += entries.length;
    for (const { kind } of outcomes) if (kind === 'nothing') this.nothing++;
    if (digests.length > 0) this.digests = [...this.digests, ...digests].slice(-KEPT_DIGESTS);
  }
}
