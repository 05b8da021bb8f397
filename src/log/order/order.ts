import type { Draft } from '../../message.ts';
import type { Applied, Entry, OrderedEntry, Outcome } from '../entry.ts';
import type { Answer } from '../answers.ts';
import type { LogUnavailable } from '../message-log.ts';

/** The entry that was proposed, applied by this node's replica and on its disk. */
export interface Proposed {
  readonly outcome: Outcome;
  /** The answers to the batches of an append, if the order has already handed on their messages. */
  readonly answers?: readonly Answer[];
  /** The time that the order gave it, in milliseconds since the Unix epoch. */
  readonly time: number;
  /** Seconds that the transaction took in which it was applied, and its COMMIT. */
  readonly seconds: number;
  readonly syncSeconds: number;
}

/** Gives entries their one order, and brings them to the replica of this node. */
export interface Order {
  /**
   * Proposes an entry. Entries of one caller that waits for each before the next keep their order.
   *
   * @returns its outcome, once it is in its place and the replica has applied it; or the reason why it may not be
   *   applied
   */
  propose(entry: Entry): Promise<Proposed | LogUnavailable>;

  /** Why it takes no entries now, in words fit for a client; `undefined` while it does. */
  readonly refusing: string | undefined;

  /**
   * Why nothing may be read now, in words fit for a client: the replica may have missed what others have. `undefined` if
   * it can be read. An order that is cut off refuses entries, too.
   */
  readonly cutOff: string | undefined;

  /** Why clients should go elsewhere, although they are served; `undefined` if there is no reason. */
  readonly unready: string | undefined;

  /** The limits on what one entry holds; missing if there are none beside the memory. */
  readonly limits?: EntryLimits;

  /**
   * Waits until everything is applied and handed on that had its place at the time of the call.
   *
   * @returns `undefined` if this replica is the only one, so that it is never behind
   * @throws {LogBehind} if that takes too long
   */
  caughtUp(): Promise<void> | undefined;

  /** Notes that the log is being closed: what is on its way is settled soon, if need be as unknown. */
  seal(): void;

  /** Settles when all that this order has handed on has reached its listeners; `undefined` if it has. */
  readonly handedOn: Promise<unknown> | undefined;

  /** Ends the order. Settles when no entry is applied any more. */
  close(): Promise<void>;
}

/** The limits on what one entry holds. */
export interface EntryLimits {
  /** The bytes of the batches that share an entry. A larger batch has an entry of its own. */
  readonly groupBytes: number;
  /** The bytes of a batch. */
  readonly batchBytes: number;
  /** Returns the bytes that a batch takes in an entry. */
  bytesOf(batch: readonly Draft[]): number;
}

/** Applies entries to the replica of this node. */
export interface EntryApplier {
  /**
   * Applies entries in one transaction. Transactions are in the order of the calls.
   *
   * @returns their outcomes, once they are on disk; or the reason why none was applied, or may not have been
   */
  apply(entries: readonly OrderedEntry[]): Promise<Applied | LogUnavailable>;
}
