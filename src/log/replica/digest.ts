import { createHash } from 'node:crypto';
import { type AppendOutcome, markOf, type OrderedEntry, type Outcome } from '../entry.ts';

/**
 * Folds an entry and its outcome into the digest of the entries before it. If two replicas have different digests at a
 * sequence, then either they have applied different entries, because the servers of the stream disagree, or an entry
 * had different outcomes.
 *
 * @param head the highest assigned id after the entry
 * @returns 32 hexadecimal digits
 */
export function foldDigest(digest: string, ordered: OrderedEntry, outcome: Outcome, head: number): string {
  const text = JSON.stringify([
    digest,
    ordered.sequence,
    markOf(ordered),
    head,
    outcome.kind,
    essenceOf(outcome),
  ]);
  return createHash('sha256').update(text).digest('hex').slice(0, 32);
}

/** Returns the part of an outcome that replicas can compare: the ids that it assigned or found, and what it removed. */
function essenceOf(outcome: Outcome): unknown {
  switch (outcome.kind) {
    case 'append':
      return [
        outcome.createdAt,
        outcome.results.map((result) =>
          'fault' in result ? [result.fault, result.index] : result.map(essenceOfDraft),
        ),
      ];
    case 'purge':
      return [outcome.messages, outcome.through];
    case 'push':
      return outcome.outcomes.map(({ stored, refused, isNew, removed }) => [
        stored?.id,
        refused,
        isNew,
        removed.map(({ id }) => id),
      ]);
    case 'epoch':
      return outcome.firstId;
    default:
      return null;
  }
}

function essenceOfDraft(outcome: AppendOutcome): unknown {
  if (typeof outcome === 'number') return outcome;
  return 'changed' in outcome ? ['changed', outcome.changed.id] : ['first', outcome.id];
}
