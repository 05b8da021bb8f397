import { isDraft, PACKED_FIELDS } from '../../message.ts';
import { type Entry, ENTRY_VERSION, type EntryBody, entryOf, type EntrySource } from '../entry.ts';
import { type PackedDrafts, packDrafts, unpackDrafts } from '../packed-drafts.ts';
import { readBody } from './entry-body.ts';

/** The log that an entry belongs to, and the generation of its stream. */
export interface EntryAddress {
  readonly logId: string;
  readonly generation: number;
}

/** An entry as decoded from a stream. */
export interface EncodedEntry {
  readonly entry: Entry;
  readonly source: EntrySource | undefined;
}

/**
 * The header and the body of an entry. The body of an append is a list, which is shorter and faster; other bodies are
 * objects.
 */
type Encoded = readonly [
  v: number,
  logId: string,
  generation: number,
  proposer: string,
  counter: number,
  body: Exclude<EntryBody, { kind: 'append' }> | PackedDrafts,
];

/** The bytes reserved for the header of an entry: far more than it takes. */
const HEADER_BYTES = 512;

/** The maximum length of a proposer's name. This program uses 12 characters. */
const MAX_PROPOSER = 64;

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true });

/** Encodes an entry for a stream, as JSON, so that people can read a stream too. */
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

/** Returns the size of an entry with this one batch, in bytes, or slightly more. */
export function encodedBytes(batch: Parameters<typeof packDrafts>[0][number]): number {
  return HEADER_BYTES + Buffer.byteLength(JSON.stringify(packDrafts([batch])));
}

/**
 * Decodes an entry. If the bytes are not an entry of this log and generation, or are one that this program would never
 * make, returns an entry that changes nothing. The result depends only on the bytes, so all nodes agree on it. The
 * entry has only the fields of its kind.
 *
 * An entry of a newer version keeps its version number, so that it is refused when it is applied.
 */
export function decodeEntry({ logId, generation }: EntryAddress, bytes: Uint8Array): EncodedEntry {
  const encoded = parse(bytes);
  if (encoded === undefined) return unreadable('it is not an entry');
  const [v, log, given, proposer, counter, body] = encoded;
  if (log !== logId) return unreadable('it belongs to another log');
  if (given !== generation) return unreadable('it belongs to another generation');
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

/** Returns whether a value is a positive integer. */
function isNumber(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 1;
}

function isList(body: Encoded[5]): body is PackedDrafts {
  return Array.isArray(body);
}

/** Returns whether a list has as many values as its sizes imply. */
function isPacked([sizes, values]: readonly unknown[]): boolean {
  if (!Array.isArray(sizes) || !Array.isArray(values)) return false;
  let drafts = 0;
  for (const size of sizes as unknown[]) {
    if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 1) return false;
    drafts += size;
  }
  return drafts * PACKED_FIELDS <= values.length;
}
