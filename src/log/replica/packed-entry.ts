/**
 * Packs entries for the writer thread, and outcomes for the way back. Messages posted to a thread are copied, and an
 * object is copied with the names of its fields. So appends, which are the bulk, are sent as lists.
 */
import type { Applied, AppendsOutcome, DigestAt, EntrySource, OrderedEntry, Outcome } from '../entry.ts';
import { type PackedDrafts, packDrafts, unpackDrafts } from '../packed-drafts.ts';

/** An entry to post. */
export type PackedEntry =
  | readonly [
      v: number,
      time: number,
      sequence: number | undefined,
      source: EntrySource | undefined,
      ...PackedDrafts,
    ]
  | OrderedEntry;

/** The outcome of a transaction to post. */
export type PackedApplied = readonly [
  seconds: number,
  syncSeconds: number,
  outcomes: readonly PackedOutcome[],
  digests?: readonly DigestAt[],
];

type PackedOutcome = readonly [createdAt: number, results: AppendsOutcome['results']] | Outcome;

/** Packs an entry. `unpackEntry` reverses it. */
export function packEntry(ordered: OrderedEntry): PackedEntry {
  const { entry, time, sequence, source } = ordered;
  return entry.kind === 'append' ? [entry.v, time, sequence, source, ...packDrafts(entry.batches)] : ordered;
}

/** Restores a packed entry. */
export function unpackEntry(packed: PackedEntry): OrderedEntry {
  if ('entry' in packed) return packed;
  const [v, time, sequence, source, ...drafts] = packed;
  const entry = { v, kind: 'append', batches: unpackDrafts(drafts) } as const;
  if (sequence === undefined) return { entry, time };
  return source === undefined ? { entry, time, sequence } : { entry, time, sequence, source };
}

/** Packs the outcome of a transaction. `unpackApplied` reverses it. */
export function packApplied({ outcomes, seconds, syncSeconds, digests }: Applied): PackedApplied {
  const packed = outcomes.map(packOutcome);
  return digests === undefined ? [seconds, syncSeconds, packed] : [seconds, syncSeconds, packed, digests];
}

/** Restores a packed outcome. */
export function unpackApplied([seconds, syncSeconds, outcomes, digests]: PackedApplied): Applied {
  const applied = { outcomes: outcomes.map(unpackOutcome), seconds, syncSeconds };
  return digests === undefined ? applied : { ...applied, digests };
}

function packOutcome(outcome: Outcome): PackedOutcome {
  return outcome.kind === 'append' ? [outcome.createdAt, outcome.results] : outcome;
}

function unpackOutcome(packed: PackedOutcome): Outcome {
  if ('kind' in packed) return packed;
  const [createdAt, results] = packed;
  return { kind: 'append', createdAt, results };
}
