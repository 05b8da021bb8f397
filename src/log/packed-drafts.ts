/**
 * Batches of drafts on their way to the writer thread or into an entry of a stream. A thread gets a copy of what is posted to it, and objects are copied
 * with the names of their fields: as one list of values a draft takes a fifth of the time to arrive.
 */
import {
  type ColumnValue,
  type Draft,
  packDraft,
  PACKED_FIELDS,
  READ_TYPE,
  unpackDraft,
} from '../message.ts';

/**
 * Batches as lists of plain values: the number of drafts in each batch; and the fields of the first draft, then of the
 * second and so on, as `packDraft` has them. A read marker has one more.
 */
export type PackedDrafts = readonly [sizes: readonly number[], values: readonly ColumnValue[]];

/** Packs batches; `unpackDrafts` returns them again. */
export function packDrafts(batches: readonly (readonly Draft[])[]): PackedDrafts {
  const values: ColumnValue[] = [];
  for (const batch of batches) {
    for (const draft of batch) {
      packDraft(values, draft);
      if (draft.type === READ_TYPE) values.push(draft.readsRecipient === true ? 1 : 0);
    }
  }
  return [batches.map((batch) => batch.length), values];
}

/** Returns the batches that were packed. */
export function unpackDrafts([sizes, values]: PackedDrafts): Draft[][] {
  let at = 0;
  const nextDraft = (): Draft => {
    const draft = unpackDraft(values, at);
    at += PACKED_FIELDS;
    return draft.type === READ_TYPE && values[at++] === 1 ? { ...draft, readsRecipient: true } : draft;
  };
  return sizes.map((size) => Array.from({ length: size }, nextDraft));
}
