import type { Draft, Message } from '../message.ts';
import type { PushOutcome, PushChange } from './push-store.ts';
import type { Retention } from './retention.ts';

/** The version of the entries that this program makes, and the newest that it applies. */
export const ENTRY_VERSION = 1;

/** An entry that this program cannot apply. A newer one made it: this one must be replaced, not skip it. */
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
 * One change of the log. The order gives each entry a time and its place among the others; every replica then applies the
 * same entries and so has the same rows. Nothing else changes what a client can see.
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

/** A new epoch: a cursor of an earlier one whose id lies in this one comes from another history of the log. */
interface EpochEntry {
  readonly kind: 'epoch';
  readonly epoch: string;
}

/** Settings that all replicas share. Those that it does not name stay. */
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

/** Something in the stream of a cluster that is no entry of this log: applied as nothing, on every replica. */
interface UnreadableEntry {
  readonly kind: 'unreadable';
  readonly why: string;
}

/** Messages to remove: all within one bound, the oldest first. Nothing else removes a message. */
export interface PurgeEntry {
  readonly kind: 'purge';
  readonly purge: Purge;
  /** Purges that are applied after it, in this order. */
  readonly also?: readonly Purge[];
  /** Names the proposal for its proposer, which has reckoned with its outcome. */
  readonly origin?: string;
}

/** The bound of a purge. Current read markers are kept, whatever the bound. */
export type Purge =
  /** Expired messages; with `from` and `expiredAfter` only those from that id on that expired later than that. */
  | (PurgeBounds & { readonly by: 'expiry'; readonly from?: number; readonly expiredAfter?: number })
  /** Messages with an id above `after`, up to the first that is not older than `age` milliseconds. */
  | (PurgeBounds & { readonly by: 'age'; readonly after: number; readonly age: number })
  /** Messages of one recipient with ids above `after`, through `through`. */
  | (PurgeBounds & {
      readonly by: 'count';
      readonly recipient: string;
      readonly after: number;
      readonly through: number;
    })
  /** Counters of proposers whose newest entry is older than `age` milliseconds. No message is removed. */
  | (PurgeBounds & { readonly by: 'proposers'; readonly age: number });

interface PurgeBounds {
  /** Milliseconds since the Unix epoch; never past the clock of the proposer. The time of the entry is also a bound. */
  readonly now: number;
  /** The maximum number of rows to look at. */
  readonly limit: number;
}

/** Returns an entry of this program's version. */
export function entryOf(body: EntryBody): Entry {
  return { v: ENTRY_VERSION, ...body };
}

/** An entry in its place. */
export interface OrderedEntry {
  readonly entry: Entry;
  /** The time that the order gave it, in milliseconds since the Unix epoch. */
  readonly time: number;
  /** Its number in the stream of a cluster. The local order has none: it is the order in which one process writes. */
  readonly sequence?: number;
  /** The proposer of an entry in a stream. */
  readonly source?: EntrySource;
}

/** The proposer of an entry, and its number there. A proposer proposes an entry when the one before is in its place. */
export interface EntrySource {
  /** Random for each start of a process. */
  readonly proposer: string;
  /** 1 for the first entry of a proposer. */
  readonly counter: number;
}

/**
 * Returns what tells an entry of a stream from any other: a proposer, which is random, gives each counter to one entry.
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
  /** The log that this is a replica of; random. */
  readonly logId: string;
  /** The sequence of the entry applied last; `null` if the order is local. */
  readonly sequence: number | null;
  /** The generation of the stream that the sequence is of; `null` if the order is local. */
  readonly generation: number | null;
  /** The mark of the entry applied last (`markOf`); empty if there is none. */
  readonly mark: string;
  /** The time of the newest entry that changed something, in milliseconds since the Unix epoch. */
  readonly logTime: number;
}

/** The outcome of applying an entry, by its kind. */
export type Outcome =
  | AppendsOutcome
  | PurgeOutcome
  | { readonly kind: 'push'; readonly outcomes: readonly PushOutcome[] }
  /** `firstId`: the first id of the epoch. */
  | { readonly kind: 'epoch'; readonly firstId: number }
  | { readonly kind: 'settings' }
  | { readonly kind: 'tick' }
  /** The order took the entry back: an epoch in which no id was given. */
  | { readonly kind: 'withdrawn' }
  /**
   * The stream brought it, and it changes nothing on any replica: it is unreadable, late or cannot be applied. If it is
   * `late`, its counter was applied before: the same entry may have been, in another place.
   */
  | { readonly kind: 'nothing'; readonly why: string; readonly late?: true }
  /** This replica applied it before, and could not say so at that time. */
  | { readonly kind: 'applied-before' };

/** The outcome of an append entry. */
export interface AppendsOutcome {
  readonly kind: 'append';
  /** Of each batch, in order. */
  readonly results: readonly AppendResult[];
  /** The `createdAt` of all that was stored. */
  readonly createdAt: number;
}

/** Returns whether an entry changed something, by its outcome. Applying one that did not again changes nothing either. */
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

/** The outcome of one batch: that of each draft, in order, or the fault that kept all of it out. */
export type AppendResult = readonly AppendOutcome[] | AppendFault;

/**
 * The outcome of one draft: the id under which it was stored; or the message in its place, which is the first with its
 * idempotency key or the read marker that it does not move ahead; or the message that it was changed to.
 */
export type AppendOutcome = number | Message | ChangedDraft;

/** Returns whether a draft was stored, by its outcome: not if something stands in its place. */
export function wasStored(outcome: AppendOutcome | undefined): boolean {
  return typeof outcome === 'number' || (outcome !== undefined && 'changed' in outcome);
}

/** A draft stored with another content: a read marker that was ahead of the log. */
interface ChangedDraft {
  readonly changed: Message;
}

/** The reason why a batch was not stored, and the index of the draft at fault. */
export interface AppendFault {
  readonly fault: 'key-conflict' | 'ids-exhausted';
  readonly index: number;
}

/** The outcome of a purge entry. With several purges, `through` is that of the last. */
export interface PurgeOutcome {
  readonly kind: 'purge';
  /** How many messages were removed. */
  readonly messages: number;
  /** The highest id looked at: continue after it. */
  readonly through: number;
  /** Whether there may be more within the same bound. */
  readonly more: boolean;
}

/** Entries that were applied together and are on disk. */
export interface Applied {
  /** Of each entry, in order. */
  readonly outcomes: readonly Outcome[];
  /** Seconds that the transaction took. */
  readonly seconds: number;
  /** Seconds that its COMMIT took: the fsync, and sometimes a checkpoint of the write-ahead log. */
  readonly syncSeconds: number;
  /** The digests after entries whose sequence is a multiple of `DIGEST_EVERY`, in order; missing if there are none. */
  readonly digests?: readonly DigestAt[];
}

/** The digest of all outcomes up to a sequence. Replicas of one log that differ in it have diverged. */
export interface DigestAt {
  readonly sequence: number;
  readonly digest: string;
}

/** The number of sequences between two digests that replicas compare. */
export const DIGEST_EVERY = 1000;
