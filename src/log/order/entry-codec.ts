import { isDraft, PACKED_FIELDS } from '../../message.ts';
import { type Entry, ENTRY_VERSION, type EntryBody, entryOf, type EntrySource } from '../entry.ts';
import { type PackedDrafts, packDrafts, unpackDrafts } from '../packed-drafts.ts';
import { readBody } from './entry-body.ts';

/** The log and the generation of its stream that an entry is for. */
export interface EntryAddress {
  readonly logId: string;
  readonly generation: number;
}

/** An entry as it is in a stream. */
export interface EncodedEntry {
  readonly entry: Entry;
  readonly source: EntrySource | undefined;
}

/** The header of an entry, and what it says: an append as a list, which is shorter and faster; anything else as it is. */
type Encoded = readonly [
  v: number,
  logId: string,
  generation: number,
  proposer: string,
  counter: number,
  body: Exclude<EntryBody, { kind: 'append' }> | PackedDrafts,
];

/** The bytes of an entry beside its drafts: far more than a header takes. */
const HEADER_BYTES = 512;

/** The longest name of a proposer. This program gives them 12 characters. */
const MAX_PROPOSER = 64;

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true });

/** Returns an entry as the bytes that go into a stream: JSON, so that a person can read a stream too. */
export function encodeEntry(
  { logId, generation }: EntryAddress,
  source: EntrySource,
  entry: Entry,
): Uint8Array {
  const { v, ...body } = entry;
  const encoded: Encoded = [
    v,
    logId,
    generation,
    source.proposer,
    source.counter,
    body.kind === 'append' ? packDrafts(body.batches) : body,
  ];
  return encoder.encode(JSON.stringify(encoded));
}

/** Returns the number of bytes that one batch takes in an entry of its own, or a little more. */
export function encodedBytes(batch: Parameters<typeof packDrafts>[0][number]): number {
  return HEADER_BYTES + Buffer.byteLength(JSON.stringify(packDrafts([batch])));
}

/**
 * Returns the entry that was encoded. Bytes that are no entry of this log and generation, or one that this program would not
 * make, become one that changes nothing: all nodes come to the same, since nothing but the bytes decides it. The entry has the
 * fields of its kind alone.
 *
 * An entry of a version that this program does not know is returned as far as it was understood: applying refuses it.
 */
export function decodeEntry({ logId, generation }: EntryAddress, bytes: Uint8Array): EncodedEntry {
  const encoded = parse(bytes);
  if (encoded === undefined) return unreadable('it is no entry');
  const [v, log, given, proposer, counter, body] = encoded;
  if (log !== logId) return unreadable('it is of another log');
  if (given !== generation) return unreadable('it is of another generation');
  const source = { proposer, counter };
  if (v > ENTRY_VERSION)
    return { entry: { ...entryOf({ kind: 'unreadable', why: 'it is newer' }), v }, source };
  if (isList(body)) {
    const batches = isPacked(body) ? unpackDrafts(body) : undefined;
    if (batches?.every((batch) => batch.every(isDraft)) !== true)
      return unreadable('its drafts are malformed');
    return { entry: { v, kind: 'append', batches }, source };
  }
  const read = readBody(body);
  return read === undefined ? unreadable('its body is malformed') : { entry: { v, ...read }, source };
}

function unreadable(why: string): EncodedEntry {
  return { entry: entryOf({ kind: 'unreadable', why }), source: undefined };
}

function parse(bytes: Uint8Array): Encoded | undefined {
  let value: unknown;
  try {
    value = JSON.parse(decoder.decode(bytes));
  } catch {
    return undefined;
  }
  if (!Array.isArray(value) || value.length < 6) return undefined;
  const [v, logId, generation, proposer, counter, body] = value as unknown[];
  const isHeader =
    isNumber(v) &&
    typeof logId === 'string' &&
    Number.isSafeInteger(generation) &&
    typeof proposer === 'string' &&
    proposer.length <= MAX_PROPOSER &&
    isNumber(counter) &&
    typeof body === 'object' &&
    body !== null;
  return isHeader ? (value as unknown as Encoded) : undefined;
}

/** Returns whether a value is a whole number from 1 on. */
function isNumber(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 1;
}

function isList(body: Encoded[5]): body is PackedDrafts {
  return Array.isArray(body);
}

/** Returns whether a list has the values that its sizes promise. */
function isPacked([sizes, values]: readonly unknown[]): boolean {
  if (!Array.isArray(sizes) || !Array.isArray(values)) return false;
  let drafts = 0;
  for (const size of sizes as unknown[]) {
    if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 1) return false;
    drafts += size;
  }
  return drafts * PACKED_FIELDS <= values.length;
}
