import type { Database } from 'better-sqlite3';
import type {
  NewPushSubscription,
  PushBounds,
  PushOutcome,
  PushChange,
  SubscriptionRef,
  PushSubscription,
} from '../push-store.ts';

/**
 * Applies changes of the subscriptions to notifications. The result depends only on the changes, their time and the
 * rows. Call it in a transaction. A change to a removed subscription does nothing.
 *
 * @param time milliseconds since the Unix epoch
 * @param head the highest assigned id, where a new subscription begins
 * @returns the outcome of each change, in order
 */
export type ApplyPush = (changes: readonly PushChange[], time: number, head: number) => PushOutcome[];

const NOTHING: PushOutcome = { stored: undefined, refused: undefined, isNew: false, removed: [] };

/**
 * The maximum number of open notifications of one subscription. Beyond it the oldest is forgotten, so that a read
 * marker no longer closes it.
 */
export const MAX_NOTICES = 1000;

/** The number forgotten at once. A database from before the bound existed may have very many. */
const FORGET_AT_ONCE = 500;

/** Prepares applying changes, on a connection that may write. */
export function preparePush(database: Database): ApplyPush {
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
  const ofReader = database.prepare<[string, string], SubscriptionRef>(
    'SELECT id, recipient, endpoint FROM pushSubscriptions WHERE reader = ? AND recipient = ? ORDER BY id',
  );
  const byId = database.prepare<[number], SubscriptionRef>(
    'SELECT id, recipient, endpoint FROM pushSubscriptions WHERE id = ?',
  );
  const ofEndpoint = database.prepare<[{ endpoint: string; limit: number }], SubscriptionRef>(
    // A total order that matches an index: all replicas remove the same rows, and nothing needs sorting.
    'SELECT id, recipient, endpoint FROM pushSubscriptions WHERE endpoint = :endpoint ORDER BY reader, id LIMIT :limit',
  );
  /** Prepares a check whether there are `limit` subscriptions. It stops counting there. */
  const isFull = (column: 'endpoint' | 'client'): ((value: string, limit: number) => boolean) => {
    const count = database
      .prepare<[string, number], number>(
        `SELECT count(*) FROM (SELECT 1 FROM pushSubscriptions WHERE ${column} = ? LIMIT ?)`,
      )
      .pluck();
    return (value, limit) => count.get(value, limit) === limit;
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
        `ORDER BY messageId DESC LIMIT 1 OFFSET ${MAX_NOTICES - 1}`,
    )
    .pluck();
  const forget = database.prepare(
    'DELETE FROM pushNotices WHERE subscription = :id AND peer IN (SELECT peer FROM pushNotices ' +
      'WHERE subscription = :id AND messageId < :oldestKept AND messageId <= :through ' +
      `ORDER BY messageId, peer LIMIT ${FORGET_AT_ONCE})`,
  );

  const removeAll = (places: readonly SubscriptionRef[]): PushOutcome => {
    for (const { id } of places) {
      remove.run(id);
      removeNotices.run(id);
    }
    return { ...NOTHING, removed: places };
  };

  const unsubscribe = (endpoint: string, recipient: string | undefined, limit: number): PushOutcome => {
    if (recipient === undefined) return removeAll(ofEndpoint.all({ endpoint, limit }));
    const one = find.get(recipient, endpoint);
    return one === undefined ? NOTHING : removeAll([{ id: one.id, recipient, endpoint }]);
  };

  const subscribe = (
    subscription: NewPushSubscription,
    bounds: PushBounds,
    at: { createdAt: number; head: number },
  ): PushOutcome => {
    const { recipient, reader, endpoint, client } = subscription;
    if (find.get(recipient, endpoint) !== undefined) {
      renew.run(subscription);
      return { ...NOTHING, stored: find.get(recipient, endpoint) };
    }
    if (isDeviceFull(endpoint, bounds.recipients)) return { ...NOTHING, refused: 'recipients' };
    if (client !== null && isClientFull(client, bounds.perClient))
      return { ...NOTHING, refused: 'perClient' };
    insert.run({ ...subscription, ...at });
    const { removed } = removeAll(ofReader.all(reader, recipient).slice(0, -bounds.devices));
    return { ...NOTHING, stored: find.get(recipient, endpoint), isNew: true, removed };
  };

  /** Moves `through`. Keeps notices past it: their messages are examined again, and would otherwise be sent twice. */
  const moveThrough = (id: number, through: number): void => {
    setThrough.run({ id, through });
    const oldest = oldestKept.get(id);
    if (oldest !== undefined) forget.run({ id, through, oldestKept: oldest });
  };

  return (changes, time, head) =>
    changes.map((change) => {
      switch (change.kind) {
        case 'subscribe':
          return subscribe(change.subscription, change.bounds, { createdAt: time, head });
        case 'unsubscribe':
          return unsubscribe(change.endpoint, change.recipient, change.limit);
        case 'remove':
          return removeAll(byId.all(change.id));
        case 'notified':
          notice.run(change);
          return NOTHING;
        case 'closed':
          close.run(change);
          return NOTHING;
        case 'through':
          moveThrough(change.id, change.through);
          return NOTHING;
      }
    });
}
