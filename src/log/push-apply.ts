import type { Database } from 'better-sqlite3';
import type {
  NewPushSubscription,
  PushBounds,
  PushChange,
  PushEntry,
  PushPlace,
  PushSubscription,
} from './push-store.ts';

/**
 * Applies changes of the subscriptions to notifications: a plain function of the entries and what is stored. Call it in
 * a transaction. An entry that names a subscription that is gone changes nothing.
 *
 * @returns what each entry changed, in order
 */
export type ApplyPush = (entries: readonly PushEntry[]) => PushChange[];

const NOTHING: PushChange = { stored: undefined, refused: undefined, isNew: false, removed: [] };

/** Open notifications of one subscription: past it the oldest is forgotten, and so not closed when it is read. */
export const MOST_NOTICES = 1000;

/** How many are forgotten at once: there may be very many in a database from before there was a bound. */
const FORGET_AT_ONCE = 500;

/** Prepares applying on a connection that may write. */
export function preparePush(database: Database): ApplyPush {
  const head = database.prepare<[], number>('SELECT head FROM position').pluck();
  const find = database.prepare<[string, string], PushSubscription>(
    'SELECT * FROM pushSubscriptions WHERE recipient = ? AND endpoint = ?',
  );
  const insert = database.prepare(
    'INSERT INTO pushSubscriptions ' +
      '(recipient, reader, endpoint, p256dh, auth, expirationTime, createdAt, since, through, client) VALUES ' +
      '(:recipient, :reader, :endpoint, :p256dh, :auth, :expirationTime, :createdAt, :head, :head, :client)',
  );
  const renew = database.prepare(
    'UPDATE pushSubscriptions SET reader = :reader, p256dh = :p256dh, auth = :auth, expirationTime = :expirationTime, ' +
      'client = coalesce(client, :client) WHERE recipient = :recipient AND endpoint = :endpoint',
  );
  const ofReader = database.prepare<[string, string], PushPlace>(
    'SELECT id, recipient, endpoint FROM pushSubscriptions WHERE reader = ? AND recipient = ? ORDER BY id',
  );
  const byId = database.prepare<[number], PushPlace>(
    'SELECT id, recipient, endpoint FROM pushSubscriptions WHERE id = ?',
  );
  const ofEndpoint = database.prepare<[{ endpoint: string; limit: number }], PushPlace>(
    'SELECT id, recipient, endpoint FROM pushSubscriptions WHERE endpoint = :endpoint LIMIT :limit',
  );
  /** Whether there are so many already: counted so far, and no further. */
  const isFull = (column: 'endpoint' | 'client'): ((value: string, most: number) => boolean) => {
    const count = database
      .prepare<[string, number], number>(
        `SELECT count(*) FROM (SELECT 1 FROM pushSubscriptions WHERE ${column} = ? LIMIT ?)`,
      )
      .pluck();
    return (value, most) => count.get(value, most) === most;
  };
  const isDeviceFull = isFull('endpoint');
  const isClientFull = isFull('client');
  const remove = database.prepare('DELETE FROM pushSubscriptions WHERE id = ?');
  const removeNotices = database.prepare('DELETE FROM pushNotices WHERE subscription = ?');
  const notice = database.prepare(
    'INSERT INTO pushNotices (subscription, peer, messageId) ' +
      'SELECT id, :peer, :messageId FROM pushSubscriptions WHERE id = :id ' +
      'ON CONFLICT DO UPDATE SET messageId = max(messageId, excluded.messageId)',
  );
  const close = database.prepare(
    'DELETE FROM pushNotices WHERE subscription = :id AND peer = :peer AND messageId <= :messageId',
  );
  const setThrough = database.prepare(
    'UPDATE pushSubscriptions SET through = max(through, :through) WHERE id = :id',
  );
  const oldestKept = database
    .prepare<[number], number>(
      'SELECT messageId FROM pushNotices WHERE subscription = ? ' +
        `ORDER BY messageId DESC LIMIT 1 OFFSET ${MOST_NOTICES - 1}`,
    )
    .pluck();
  const forget = database.prepare(
    'DELETE FROM pushNotices WHERE subscription = :id AND peer IN (SELECT peer FROM pushNotices ' +
      'WHERE subscription = :id AND messageId < :oldestKept AND messageId <= :through ' +
      `ORDER BY messageId LIMIT ${FORGET_AT_ONCE})`,
  );

  const removeAll = (places: readonly PushPlace[]): PushChange => {
    for (const { id } of places) {
      remove.run(id);
      removeNotices.run(id);
    }
    return { ...NOTHING, removed: places };
  };

  const unsubscribe = (endpoint: string, recipient: string | undefined, limit: number): PushChange => {
    if (recipient === undefined) return removeAll(ofEndpoint.all({ endpoint, limit }));
    const one = find.get(recipient, endpoint);
    return one === undefined ? NOTHING : removeAll([{ id: one.id, recipient, endpoint }]);
  };

  const subscribe = (subscription: NewPushSubscription, bounds: PushBounds): PushChange => {
    const { recipient, reader, endpoint, client } = subscription;
    if (find.get(recipient, endpoint) !== undefined) {
      renew.run(subscription);
      return { ...NOTHING, stored: find.get(recipient, endpoint) };
    }
    if (isDeviceFull(endpoint, bounds.recipients)) return { ...NOTHING, refused: 'recipients' };
    if (client !== null && isClientFull(client, bounds.ofClient)) return { ...NOTHING, refused: 'ofClient' };
    insert.run({ ...subscription, head: head.get() ?? 0 });
    const { removed } = removeAll(ofReader.all(reader, recipient).slice(0, -bounds.devices));
    return { ...NOTHING, stored: find.get(recipient, endpoint), isNew: true, removed };
  };

  /** What is past `through` is looked at again, and would be sent a second time if its notice were forgotten. */
  const moveThrough = (id: number, through: number): void => {
    setThrough.run({ id, through });
    const oldest = oldestKept.get(id);
    if (oldest !== undefined) forget.run({ id, through, oldestKept: oldest });
  };

  return (entries) =>
    entries.map((entry) => {
      switch (entry.kind) {
        case 'subscribe':
          return subscribe(entry.subscription, entry.bounds);
        case 'unsubscribe':
          return unsubscribe(entry.endpoint, entry.recipient, entry.limit);
        case 'remove':
          return removeAll(byId.all(entry.id));
        case 'notified':
          notice.run(entry);
          return NOTHING;
        case 'closed':
          close.run(entry);
          return NOTHING;
        case 'through':
          moveThrough(entry.id, entry.through);
          return NOTHING;
      }
    });
}
