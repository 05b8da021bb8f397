import { createHash } from 'node:crypto';
import { type AppendOutcome, markOf, type OrderedEntry, type Outcome } from '../entry.ts';

/**
 * Folds an entry and its outcome into the digest of those before it. Replicas that have another digest at a sequence have
 * applied other entries, since the servers of the stream disagree; or one of them came to another outcome.
 *
 * @param head the highest id given after the entry
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

/** Returns what replicas can compare of an outcome: which ids it gave or found, and what it removed. */
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
