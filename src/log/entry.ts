import type { Draft, Message } from '../message.ts';
import type { PushOutcome, PushChange } from './push-store.ts';
import type { Retention } from './retention.ts';

/** The version of the entries that this program creates, which is also the newest that it can apply. */
export const ENTRY_VERSION = 1;

/**
 * An entry made by a newer version of this program, which this one cannot apply. Skipping it would be wrong: the
 * program must be upgraded.
 */
export class UnknownEntry extends Error {
  constructor(version: number) {
    super(
      `the log has an entry of version ${version}, and this program knows versions up to ${ENTRY_VERSION}: ` +
        'run a newer one',
    );
    this.name = 'UnknownEntry';
  }
}

/**
 * One change of the log. The order gives each entry a time and a place. Every replica applies the same entries in that
 * order, and so ends up with the same rows. Nothing else changes what clients can see.
 */
export type Entry = { readonly v: number } & EntryBody;

/** An entry without its version. */
export type EntryBody =
  AppendEntry | PurgeEntry | PushEntry | EpochEntry | SettingsEntry | TickEntry | UnreadableEntry;

/** Batches to append, in their order. */
interface AppendEntry {
  readonly kind: 'append';
  readonly batches: readonly (readonly Draft[])[];
}

/** Changes of the subscriptions to notifications. */
interface PushEntry {
  readonly kind: 'push';
  readonly changes: readonly PushChange[];
}

/**
 * A new epoch. A cursor that names an earlier epoch but has an id of this one comes from another history of the log.
 */
interface EpochEntry {
  readonly kind: 'epoch';
  readonly epoch: string;
}

/** Settings that all replicas share. Settings that the entry omits stay as they are. */
interface SettingsEntry {
  readonly kind: 'settings';
  readonly retention: Partial<Retention>;
}

/** Time passes. */
export interface TickEntry {
  readonly kind: 'tick';
  /** The time of retention, in milliseconds since the Unix epoch; missing if the proposer does not know it. */
  readonly retentionTime?: number;
}

/** Data in the stream of a cluster that is not an entry of this log. Applying it changes nothing, on every replica. */
interface UnreadableEntry {
  readonly kind: 'unreadable';
  readonly why: string;
}

/** Messages to remove: all within one bound, the oldest first. Messages are removed in no other way. */
export interface PurgeEntry {
  readonly kind: 'purge';
  readonly purge: Purge;
  /** Further purges, applied after it in this order. */
  readonly also?: readonly Purge[];
  /** Identifies the proposal to its proposer, which already knows the outcome from a dry run. */
  readonly origin?: string;
}

/** The bound of a purge. Current read markers are always kept. */
export type Purge =
  /**
   * Expired messages. `from` limits it to messages with that id or a higher one, `expiredAfter` to messages that
   * expired later.
   */
  | (PurgeBounds & { readonly by: 'expiry'; readonly from?: number; readonly expiredAfter?: number })
  /** Messages with an id above `after`, up to the first that is not yet `age` milliseconds old. */
  | (PurgeBounds & { readonly by: 'age'; readonly after: number; readonly age: number })
  /** Messages of one recipient with `after` < id ≤ `through`. */
  | (PurgeBounds & {
      readonly by: 'count';
      readonly recipient: string;
      readonly after: number;
      readonly through: number;
    })
  /** Counters of proposers whose newest entry is older than `age` milliseconds. No message is removed. */
  | (PurgeBounds & { readonly by: 'proposers'; readonly age: number });

interface PurgeBounds {
  /** Milliseconds since the Unix epoch; never ahead of the proposer's clock. The time of the entry is a bound too. */
  readonly now: number;
  /** The maximum number of rows to examine. */
  readonly limit: number;
}

/** Returns an entry of this program's version. */
export function entryOf(body: EntryBody): Entry {
  return { v: ENTRY_VERSION, ...body };
}

/** An entry with its place in the order. */
export interface OrderedEntry {
  readonly entry: Entry;
  /** The time that the order assigned to it, in milliseconds since the Unix epoch. */
  readonly time: number;
  /**
   * Its number in the stream of a cluster. Missing in the local order, which is simply the order in which one process
   * writes.
   */
  readonly sequence?: number;
  /** The proposer of an entry in a stream. */
  readonly source?: EntrySource;
}

/**
 * The proposer of an entry and the number that it gave the entry. A proposer waits until an entry has its place before
 * it proposes the next.
 */
export interface EntrySource {
  /** A random name, new at each start of a process. */
  readonly proposer: string;
  /** Counts the entries of the proposer, from 1. */
  readonly counter: number;
}

/**
 * Returns the mark of an entry, which no other entry of the stream has: proposers are random, and each gives a counter
 * to only one entry.
 */
export function markOf({
  time,
  source,
}: {
  readonly time: number;
  readonly source?: EntrySource | undefined;
}): string {
  return source === undefined ? String(time) : `${time} ${source.proposer} ${source.counter}`;
}

/** The position of a replica in the order. */
export interface Position {
  /** The random id of the log that this is a replica of. */
  readonly logId: string;
  /** The sequence of the last applied entry; `null` if the order is local. */
  readonly sequence: number | null;
  /** The generation of the stream that the sequence refers to; `null` if the order is local. */
  readonly generation: number | null;
  /** The mark of the last applied entry (`markOf`); empty if there is none. */
  readonly mark: string;
  /** The time of the newest entry that changed something, in milliseconds since the Unix epoch. */
  readonly logTime: number;
}

/** The outcome of applying an entry, by its kind. */
export type Outcome =
  | AppendsOutcome
  | PurgeOutcome
  | { readonly kind: 'push'; readonly outcomes: readonly PushOutcome[] }
  /** `firstId` is the first id of the epoch. */
  | { readonly kind: 'epoch'; readonly firstId: number }
  | { readonly kind: 'settings' }
  | { readonly kind: 'tick' }
  /** The order withdrew the entry: an epoch in which no id was assigned. */
  | { readonly kind: 'withdrawn' }
  /**
   * The stream delivered an entry that changes nothing on any replica: it is unreadable, late or cannot be applied.
   * `late` means that its counter was already applied, possibly by the same entry in another place.
   */
  | { readonly kind: 'nothing'; readonly why: string; readonly late?: true }
  /** This replica applied the entry earlier but could not report it then. */
  | { readonly kind: 'applied-before' };

/** The outcome of an append entry. */
export interface AppendsOutcome {
  readonly kind: 'append';
  /** One per batch, in order. */
  readonly results: readonly AppendResult[];
  /** The `createdAt` of all stored messages. */
  readonly createdAt: number;
}

/** Returns whether an entry with this outcome changed something. If not, applying it again changes nothing either. */
export function changedSomething(outcome: Outcome): boolean {
  switch (outcome.kind) {
    case 'append':
      return outcome.results.some(
        (result) =>
          !('fault' in result) && result.some((draft) => typeof draft === 'number' || 'changed' in draft),
      );
    case 'purge':
      return outcome.messages > 0;
    case 'withdrawn':
    case 'nothing':
    case 'applied-before':
      return false;
    default:
      return true;
  }
}

/** The outcome of one batch: one outcome per draft, in order, or the fault because of which none was stored. */
export type AppendResult = readonly AppendOutcome[] | AppendFault;

/**
 * The outcome of one draft: the id that it was stored with; or the existing message that takes its place, which is the
 * first with its idempotency key or a read marker that is not behind it; or the changed message that was stored for it.
 */
export type AppendOutcome = number | Message | ChangedDraft;

/** Returns whether a draft with this outcome was stored, rather than answered with an existing message. */
export function wasStored(outcome: AppendOutcome | undefined): boolean {
  return typeof outcome === 'number' || (outcome !== undefined && 'changed' in outcome);
}

/** A draft stored with different content: a read marker that was ahead of the log. */
interface ChangedDraft {
  readonly changed: Message;
}

/** The reason why a batch was not stored, and the index of the draft at fault. */
export interface AppendFault {
  readonly fault: 'key-conflict' | 'ids-exhausted';
  readonly index: number;
}

/** The outcome of a purge entry. If it has several purges, `through` belongs to the last. */
export interface PurgeOutcome {
  readonly kind: 'purge';
  /** The number of removed messages. */
  readonly messages: number;
  /** The highest id examined: continue after it. */
  readonly through: number;
  /** Whether there may be more within the same bound. */
  readonly more: boolean;
}

/** Entries that were applied together and are on disk. */
export interface Applied {
  /** One per entry, in order. */
  readonly outcomes: readonly Outcome[];
  /** The duration of the transaction. */
  readonly seconds: number;
  /** The duration of its COMMIT: the fsync, and sometimes a checkpoint of the write-ahead log. */
  readonly syncSeconds: number;
  /** The digests after entries whose sequence is a multiple of `DIGEST_EVERY`, in order; missing if there are none. */
  readonly digests?: readonly DigestAt[];
}

/** The digest of all outcomes up to a sequence. If it differs between replicas of a log, they have diverged. */
export interface DigestAt {
  readonly sequence: number;
  readonly digest: string;
}

/** The number of sequences between two digests that replicas compare. */
export const DIGEST_EVERY = 1000;
