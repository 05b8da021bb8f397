import type { Answer } from '../answers.ts';
import type { Applied, OrderedEntry } from '../entry.ts';

/** Entries that were applied together. */
export interface AppliedGroup extends Applied {
  readonly entries: readonly OrderedEntry[];
}

/** The answers to the entries of a group. Their messages are already on the way to subscribers. */
export interface Delivered {
  /** The answers to the batches of each entry; `undefined` for an entry that is not an append. */
  readonly answers: readonly (readonly Answer[] | undefined)[];
  /** Settles when the next group may be delivered. `undefined` if that is at once. */
  readonly handedOn: Promise<unknown> | undefined;
}
