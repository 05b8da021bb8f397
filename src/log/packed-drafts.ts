/**
 * Batches of drafts on their way to the writer thread. What is posted to a thread is copied, and an object is copied
 * with the names of its fields: as one list of values a draft takes a fifth of the time to arrive.
 */
import { type Draft, type FieldValue, pushFields, READ_TYPE, takeFields } from '../message.ts';

/** Batches, as lists of plain values. */
export interface PackedDrafts {
  /** How many drafts each batch has. */
  readonly sizes: readonly number[];
  /** The fields of the first draft, of the second and so on, as `pushFields` has them; a read marker has one more. */
  readonly values: readonly FieldValue[];
}

/** Packs batches; `unpackDrafts` gives them back. */
export function packDrafts(batches: readonly (readonly Draft[])[]): PackedDrafts {
  const values: FieldValue[] = [];
  for (const batch of batches) {
    for (const draft of batch) {
      pushFields(values, draft);
      if (draft.type === READ_TYPE) values.push(draft.readsRecipient === true ? 1 : 0);
    }
  }
  return { sizes: batches.map((batch) => batch.length), values };
}

/** Gives the batches that were packed. */
export function unpackDrafts({ sizes, values }: PackedDrafts): Draft[][] {
  let at = 0;
  const next = (): FieldValue | undefined => values[at++];
  const nextDraft = (): Draft => {
    const draft = takeFields(next);
    return draft.type === READ_TYPE && next() === 1 ? { ...draft, readsRecipient: true } : draft;
  };
  return sizes.map((size) => Array.from({ length: size }, nextDraft));
}
