import type { Draft } from '../../message.ts';
import type { Applied, Entry, OrderedEntry, Outcome } from '../entry.ts';
import type { Answer } from '../answers.ts';
import type { LogUnavailable } from '../message-log.ts';

/** A proposed entry, applied by this node's replica and on its disk. */
export interface Proposed {
  readonly outcome: Outcome;
  /** The answers to the batches of an append, if the order has already delivered their messages. */
  readonly answers?: readonly Answer[];
  /** The time that the order assigned to it, in milliseconds since the Unix epoch. */
  readonly time: number;
  /** The duration of the transaction in which it was applied, and of that transaction's COMMIT. */
  readonly seconds: number;
  readonly syncSeconds: number;
}

/** The order of entries: gives each its place, and passes it to the replica of this node. */
export interface Order {
  /**
   * Proposes an entry. A caller that waits for each proposal before it makes the next keeps its entries in order.
   *
   * @returns the outcome, once the entry has its place and the replica has applied it; or the reason why it may not be
   *   applied
   */
  propose(entry: Entry): Promise<Proposed | LogUnavailable>;

  /** Why it accepts no entries now, in words fit for a client; `undefined` while it does. */
  readonly refusing: string | undefined;

  /**
   * Why nothing should be read now, in words fit for a client: the replica may have missed entries that others have.
   * `undefined` while reading is safe. An order that is cut off also refuses entries.
   */
  readonly cutOff: string | undefined;

  /** Why clients should use another node, although this one serves them; `undefined` if there is no reason. */
  readonly unready: string | undefined;

  /** The limits on the size of an entry; missing if only memory limits it. */
  readonly limits?: EntryLimits;

  /**
   * Waits until every entry that had its place at the time of the call is applied and delivered.
   *
   * @returns `undefined` if this replica is the only one, so that it is never behind
   * @throws {LogBehind} if that takes too long
   */
  caughtUp(): Promise<void> | undefined;

  /** Notes that the log is closing: pending proposals are settled soon, if need be with an unknown outcome. */
  seal(): void;

  /** Settles when everything that this order has delivered has reached its listeners; `undefined` if it already has. */
  readonly handedOn: Promise<unknown> | undefined;

  /** Ends the order. Waits until no more entries are being applied. */
  close(): Promise<void>;
}

/** The limits on the size of an entry. */
export interface EntryLimits {
  /** The maximum size of batches that share an entry, in bytes. A larger batch gets an entry of its own. */
  readonly groupBytes: number;
  /** The maximum size of a batch, in bytes. */
  readonly batchBytes: number;
  /** Returns the size of a batch in an entry, in bytes. */
  bytesOf(batch: readonly Draft[]): number;
}

/** Applies entries to the replica of this node. */
export interface EntryApplier {
  /**
   * Applies entries in one transaction. Calls are applied in order.
   *
   * @returns the outcomes, once they are on disk; or the reason why the entries were not, or may not have been, applied
   */
  apply(entries: readonly OrderedEntry[]): Promise<Applied | LogUnavailable>;
}
