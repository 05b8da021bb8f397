/**
 * Packs batches of drafts for the writer thread or for an entry of a stream. Messages posted to a thread are copied,
 * and objects are copied with the names of their fields. As one list of values, a draft arrives in a fifth of the time.
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
 * Batches as lists of plain values: the number of drafts in each batch, and the fields of all drafts, one draft after
 * the other, in the order of `packDraft`. A read marker has one more value.
 */
export type PackedDrafts = readonly [sizes: readonly number[], values: readonly ColumnValue[]];

/** Packs batches. `unpackDrafts` reverses it. */
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

/** Restores the packed batches. */
export function unpackDrafts([sizes, values]: PackedDrafts): Draft[][] {
  let at = 0;
  const nextDraft = (): Draft => {
    const draft = unpackDraft(values, at);
    at += PACKED_FIELDS;
    return draft.type === READ_TYPE && values[at++] === 1 ? { ...draft, readsRecipient: true } : draft;
  };
  return sizes.map((size) => Array.from({ length: size }, nextDraft));
}
