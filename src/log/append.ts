import { isDeepStrictEqual } from 'node:util';
import type { Database, Statement } from 'better-sqlite3';
import {
  COUNTS,
  type Draft,
  type FieldValue,
  isExpired,
  type Message,
  MESSAGE_FIELDS,
  pushFields,
  READ_TYPE,
  withId,
} from '../message.ts';

/**
 * Where a draft came to stand: a number is the id it was stored under; a message is the one that stands in its place
 * (the first of its idempotency key, or the read marker that it does not move ahead).
 */
export type Placement = number | Message | ChangedDraft;

/** A draft that was stored with another content than it had: a read marker that was ahead of the log. */
interface ChangedDraft {
  readonly changed: Message;
}

/** Why a batch was not stored, and by which of its drafts. */
export interface AppendFault {
  readonly fault: 'key-conflict' | 'ids-exhausted';
  readonly index: number;
}

/** What became of one batch: a placement for each draft, in order, or the fault that kept all of it out. */
export type AppendResult = readonly Placement[] | AppendFault;

/** The run that gives the ids: its tag comes from outside, so that applying has no chance in it. */
interface AppendEntry {
  readonly tag: string;
  readonly batches: readonly (readonly Draft[])[];
}

/**
 * Applies an append to the store: a plain function of the entry and what is stored, without a clock or chance of its
 * own. Call it in a transaction; batches with a fault leave nothing behind, the others are stored in their order.
 *
 * @returns a result for each batch, in order
 */
export type Append = (entry: AppendEntry) => AppendResult[];

/** So many rows of a batch go into one statement: calls into SQLite are a fifth of the time of an insert. */
const ROWS = 20;

const COLUMNS = MESSAGE_FIELDS.join();

/** Thrown inside a batch to undo it. */
class BatchFault extends Error {
  readonly result: AppendFault;
  constructor(result: AppendFault) {
    super(result.fault);
    this.result = result;
  }
}

/** Prepares appending on a connection that may write. */
export function prepareAppend(database: Database): Append {
  const position = database.prepare<[], number>('SELECT head FROM position').pluck();
  const setHead = database.prepare('UPDATE position SET head = ?');
  const lastTag = database.prepare<[], string>('SELECT tag FROM runs ORDER BY firstId DESC LIMIT 1').pluck();
  const addRun = database.prepare('INSERT INTO runs (firstId, tag) VALUES (?, ?)');
  const insertRows = (rows: number): Statement => {
    const row = `(${MESSAGE_FIELDS.map(() => '?').join()})`;
    return database.prepare(
      `INSERT INTO messages (${COLUMNS}) VALUES ${Array<string>(rows).fill(row).join()}`,
    );
  };
  const insertOne = insertRows(1);
  const insertMany = insertRows(ROWS);
  const byKey: Statement<[string, string, string], Message> = database.prepare(
    `SELECT ${COLUMNS} FROM messages WHERE sender = ? AND recipient = ? AND idempotencyKey = ?`,
  );
  const byId: Statement<[number], Message> = database.prepare(`SELECT ${COLUMNS} FROM messages WHERE id = ?`);
  const dropKey = database.prepare('UPDATE messages SET idempotencyKey = NULL WHERE id = ?');
  const marker = database.prepare<[string, string], { messageId: number; id: number }>(
    'SELECT messageId, id FROM readMarkers WHERE reader = ? AND peer = ?',
  );
  const setMarker = database.prepare(
    'INSERT INTO readMarkers (reader, peer, messageId, id) VALUES (?, ?, ?, ?) ' +
      'ON CONFLICT DO UPDATE SET messageId = excluded.messageId, id = excluded.id',
  );
  const newestFor = prepareNewest(database);
  let head = 0;

  /** The message that stands in the place of a draft, if one does. */
  const standing = (draft: Draft, index: number): Message | undefined => {
    if (draft.idempotencyKey !== null) {
      const first = byKey.get(draft.sender, draft.recipient, draft.idempotencyKey);
      if (first !== undefined && !isExpired(first, draft.createdAt)) {
        if (!sameMessage(first, draft)) throw new BatchFault({ fault: 'key-conflict', index });
        return first;
      }
      // The key held as long as the first message; what is left of that waits for its purge.
      if (first !== undefined) dropKey.run(first.id);
    }
    return undefined;
  };

  const store = (draft: Draft, index: number): number => {
    if (head >= Number.MAX_SAFE_INTEGER) throw new BatchFault({ fault: 'ids-exhausted', index });
    const id = ++head;
    const values: FieldValue[] = [id];
    pushFields(values, draft);
    insertOne.run(values);
    return id;
  };

  /** A marker ahead of the log says that all of its conversation was read. */
  const placeMarker = (draft: Draft, index: number): Placement => {
    const through = markedThrough(draft);
    const isAhead = through > head;
    const messageId = isAhead ? newestFor(draft) : through;
    const now = marker.get(draft.sender, draft.recipient);
    const instead = now !== undefined && now.messageId >= messageId ? byId.get(now.id) : undefined;
    if (instead !== undefined) return instead;
    const content = isAhead ? JSON.stringify({ messageId }) : draft.content;
    const id = store({ ...draft, content }, index);
    setMarker.run(draft.sender, draft.recipient, messageId, id);
    return isAhead ? { changed: withId(id, { ...draft, content }) } : id;
  };

  const place = (draft: Draft, index: number): Placement => {
    const instead = standing(draft, index);
    if (instead !== undefined) return instead;
    return draft.type === READ_TYPE ? placeMarker(draft, index) : store(draft, index);
  };

  const placeAll = database.transaction((batch: readonly Draft[]): Placement[] => {
    const placements: Placement[] = [];
    while (placements.length < batch.length) {
      const index = placements.length;
      const next = batch.slice(index, index + ROWS);
      if (next.length === ROWS && next.every(isPlain) && head + ROWS <= Number.MAX_SAFE_INTEGER) {
        const values: FieldValue[] = [];
        for (const draft of next) {
          placements.push(++head);
          values.push(head);
          pushFields(values, draft);
        }
        insertMany.run(values);
      } else {
        placements.push(place(batch[index] as Draft, index));
      }
    }
    return placements;
  });

  const appendBatch = (batch: readonly Draft[]): AppendResult => {
    const before = head;
    try {
      // A single draft that faults has stored nothing, so it needs no savepoint of its own.
      return batch.length === 1 ? batch.map(place) : placeAll(batch);
    } catch (error) {
      head = before;
      if (error instanceof BatchFault) return error.result;
      throw error;
    }
  };

  return ({ tag, batches }) => {
    const before = position.get() ?? 0;
    head = before;
    const results = batches.map(appendBatch);
    if (head > before) {
      if (lastTag.get() !== tag) addRun.run(before + 1, tag);
      setHead.run(head);
    }
    return results;
  };
}

/** Whether nothing that is stored can stand in the place of a draft. */
function isPlain({ idempotencyKey, type }: Draft): boolean {
  return idempotencyKey === null && type !== READ_TYPE;
}

/** How far a read marker says that its sender has read. */
function markedThrough(draft: Draft): number {
  return (JSON.parse(draft.content) as { messageId: number }).messageId;
}

/**
 * Whether a repeated key repeats the message too. The same content may be written with its fields in another order, so as
 * a text of the same length. A read marker that was ahead of the log was stored as another one, of which it is a repeat.
 */
function sameMessage(first: Message, draft: Draft): boolean {
  if (first.type !== draft.type) return false;
  if (first.content === draft.content) return true;
  if (draft.type === READ_TYPE) return markedThrough(draft) >= first.id;
  if (first.content.length !== draft.content.length) return false;
  return isDeepStrictEqual(JSON.parse(first.content), JSON.parse(draft.content));
}

/**
 * Prepares looking up the newest message of a read marker's conversation: of its two addresses, or, in a room, of the
 * room. An address is a room if it has sent the reader nothing and whoever publishes the marker may read its inbox.
 *
 * @returns its id; 1 if there is none, so that the marker covers nothing
 */
function prepareNewest(database: Database): (marker: Draft) => number {
  // What is not projected yet is read from the log: a few thousand ids.
  const tail = `id > (SELECT projected FROM position) AND ${COUNTS}`;
  const newest = (...selects: readonly string[]): string =>
    `SELECT max(0, ${selects.map((select) => `ifnull((${select}), 0)`).join()})`;
  const ofSide = database
    .prepare<[Record<string, string>], number>(
      newest(
        'SELECT max(id) FROM pairMessages WHERE recipient = :recipient AND sender = :sender AND counts = 1',
        `SELECT max(id) FROM messages WHERE recipient = :recipient AND sender = :sender AND ${tail}`,
      ),
    )
    .pluck();
  const ofInbox = database
    .prepare<[Record<string, string>], number>(
      newest(
        'SELECT max(lastId) FROM conversations WHERE address = :address',
        `SELECT max(id) FROM messages WHERE recipient = :address AND ${tail}`,
        `SELECT max(id) FROM messages WHERE sender = :address AND ${tail}`,
      ),
    )
    .pluck();

  return ({ sender: reader, recipient: peer, readsRecipient }) => {
    const received = ofSide.get({ recipient: reader, sender: peer }) ?? 0;
    if (received === 0 && readsRecipient === true) return Math.max(1, ofInbox.get({ address: peer }) ?? 0);
    return Math.max(1, received, ofSide.get({ recipient: peer, sender: reader }) ?? 0);
  };
}
