import type { Answer } from '../answers.ts';
import type { Applied, OrderedEntry } from '../entry.ts';

/** Entries that were applied together. */
export interface AppliedGroup extends Applied {
  readonly entries: readonly OrderedEntry[];
}

/** The answers to the entries of a group, once their messages are on their way to subscribers. */
export interface Delivered {
  /** The answers to the batches of each entry; `undefined` for what is no append. */
  readonly answers: readonly (readonly Answer[] | undefined)[];
  /** Settles when the next group may come; `undefined`: at once. */
  readonly handedOn: Promise<unknown> | undefined;
}
