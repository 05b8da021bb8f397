import { isDeepStrictEqual } from 'node:util';
import type { Database, Statement } from 'better-sqlite3';
import {
  type ColumnValue,
  COUNTS,
  type Draft,
  isExpired,
  type Message,
  MESSAGE_COLUMNS,
  type MessageTimes,
  pushRow,
  READ_TYPE,
  withId,
} from '../../message.ts';
import type { AppendFault, AppendOutcome, AppendResult } from '../entry.ts';

/** The part of the position that an append depends on. A key is free again if its message has expired by `time`. */
export interface AppendContext extends MessageTimes {
  /** The highest assigned id. Each stored message advances it. */
  head: number;
}

/**
 * Applies an append. The result depends only on the batches, the context and the rows. Call it in a transaction. A
 * batch with a fault leaves nothing behind; the others are stored in order.
 *
 * @returns the outcome of each batch, in order
 */
export type Append = (context: AppendContext, batches: readonly (readonly Draft[])[]) => AppendResult[];

/** The number of rows in one statement. Calls into SQLite take a fifth of the time of an insert. */
const ROWS = 20;

const COLUMNS = MESSAGE_COLUMNS.join();

/** Thrown inside a batch to undo it. */
class BatchFault extends Error {
  readonly result: AppendFault;
  constructor(result: AppendFault) {
    super(result.fault);
    this.result = result;
  }
}

/** Prepares appending, on a connection that may write. */
export function prepareAppend(database: Database): Append {
  const insertRows = (rows: number): Statement => {
    const row = `(${MESSAGE_COLUMNS.map(() => '?').join()})`;
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
  let context: AppendContext = { head: 0, time: 0, createdAt: 0 };

  /** Returns the message with the idempotency key of a draft. It may have expired. */
  const withKey = ({ sender, recipient, idempotencyKey: key }: Draft): Message | undefined =>
    key === null ? undefined : byKey.get(sender, recipient, key);

  /** @param lapsed an expired message with the same key that is not purged yet */
  const store = (draft: Draft, index: number, lapsed: Message | undefined): number => {
    if (context.head >= Number.MAX_SAFE_INTEGER) throw new BatchFault({ fault: 'ids-exhausted', index });
    // Done only when a message is stored: an entry that stores nothing must change nothing.
    if (lapsed !== undefined) dropKey.run(lapsed.id);
    const id = ++context.head;
    const values: ColumnValue[] = [];
    pushRow(values, id, context, draft);
    insertOne.run(values);
    return id;
  };

  /** Stores a read marker. A marker ahead of the log means that the whole conversation was read. */
  const appendMarker = (draft: Draft, index: number, lapsed: Message | undefined): AppendOutcome => {
    const through = markedThrough(draft);
    const isAhead = through > context.head;
    const messageId = isAhead ? newestFor(draft) : through;
    const now = marker.get(draft.sender, draft.recipient);
    const instead = now !== undefined && now.messageId >= messageId ? byId.get(now.id) : undefined;
    if (instead !== undefined) return instead;
    const content = isAhead ? JSON.stringify({ messageId }) : draft.content;
    const id = store({ ...draft, content }, index, lapsed);
    setMarker.run(draft.sender, draft.recipient, messageId, id);
    return isAhead ? { changed: withId(id, context, { ...draft, content }) } : id;
  };

  const appendOne = (draft: Draft, index: number): AppendOutcome => {
    const first = withKey(draft);
    if (first !== undefined && !isExpired(first, context.time)) {
      if (!sameMessage(first, draft)) throw new BatchFault({ fault: 'key-conflict', index });
      return first;
    }
    return draft.type === READ_TYPE ? appendMarker(draft, index, first) : store(draft, index, first);
  };

  const appendAll = database.transaction((batch: readonly Draft[]): AppendOutcome[] => {
    const outcomes: AppendOutcome[] = [];
    while (outcomes.length < batch.length) {
      const index = outcomes.length;
      const next = batch.slice(index, index + ROWS);
      if (next.length === ROWS && next.every(isPlain) && context.head + ROWS <= Number.MAX_SAFE_INTEGER) {
        const values: ColumnValue[] = [];
        for (const draft of next) {
          outcomes.push(++context.head);
          pushRow(values, context.head, context, draft);
        }
        insertMany.run(values);
      } else {
        outcomes.push(appendOne(batch[index] as Draft, index));
      }
    }
    return outcomes;
  });

  const appendBatch = (batch: readonly Draft[]): AppendResult => {
    const before = context.head;
    try {
      // A single draft with a fault has stored nothing, so it needs no savepoint.
      return batch.length === 1 ? batch.map(appendOne) : appendAll(batch);
    } catch (error) {
      context.head = before;
      if (error instanceof BatchFault) return error.result;
      throw error;
    }
  };

  return (given, batches) => {
    context = given;
    return batches.map(appendBatch);
  };
}

/** Returns whether a draft is always stored, because no earlier message can take its place. */
function isPlain({ idempotencyKey, type }: Draft): boolean {
  return idempotencyKey === null && type !== READ_TYPE;
}

/** Returns the id up to which a read marker says that its sender has read. */
function markedThrough(draft: Draft): number {
  return (JSON.parse(draft.content) as { messageId: number }).messageId;
}

/**
 * Returns whether a draft with a repeated key also repeats the message. The same content may have its fields in a
 * different order, as text of the same length. A read marker that was ahead of the log was stored with another id, and
 * repeats that marker.
 */
function sameMessage(first: Message, draft: Draft): boolean {
  if (first.type !== draft.type) return false;
  if (first.content === draft.content) return true;
  if (draft.type === READ_TYPE) return markedThrough(draft) >= first.id;
  if (first.content.length !== draft.content.length) return false;
  return isDeepStrictEqual(JSON.parse(first.content), JSON.parse(draft.content));
}

/**
 * Prepares looking up the newest message of a read marker's conversation, which is between its two addresses or in a
 * room. An address counts as a room if it has sent the reader nothing and the publisher of the marker may read its
 * inbox.
 *
 * @returns a function that returns the id of that message; 1 if there is none, so that the marker covers nothing
 */
function prepareNewest(database: Database): (marker: Draft) => number {
  // The ids that are not projected yet, a few thousand, are read from the log.
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
