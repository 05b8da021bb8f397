import type { DigestAt } from '../entry.ts';
import type { AppliedGroup } from './applied-group.ts';

/** The number of newest digests to keep. */
const KEPT_DIGESTS = 16;

/** Counts of an order's entries since the start. */
export interface EntryCounts {
  /** Applied entries. */
  readonly applied: number;
  /** Applied entries that changed nothing: they were unreadable, late or could not be applied. */
  readonly nothing: number;
  /** The number of times that an entry of this node was appended again, because the stream had not confirmed it. */
  readonly retried: number;
}

/** A record of the entries applied since the start. */
export class EntryRecord {
  applied = 0;
  nothing = 0;
  /** The newest digests, the oldest first. */
  digests: readonly DigestAt[] = [];

  /** Records an applied group. */
  note({ entries, outcomes, digests = [] }: AppliedGroup): void {
    this.applied += entries.length;
    for (const { kind } of outcomes) if (kind === 'nothing') this.nothing++;
    if (digests.length > 0) this.digests = [...this.digests, ...digests].slice(-KEPT_DIGESTS);
  }
}
