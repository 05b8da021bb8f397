import type { Database } from 'better-sqlite3';
import type { NewPushSubscription, PushChange, PushEntry, PushSubscription } from './push-store.ts';

/**
 * Applies changes of the subscriptions to notifications: a plain function of the entries and what is stored. Call it in
 * a transaction. What names a subscription that is gone changes nothing.
 *
 * @returns what each entry changed, in order
 */
export type ApplyPush = (entries: readonly PushEntry[]) => PushChange[];

const NOTHING: PushChange = { stored: undefined, isNew: false, removed: [] };

/** Prepares applying on a connection that may write. */
export function preparePush(database: Database): ApplyPush {
  const head = database.prepare<[], number>('SELECT head FROM position').pluck();
  const find = database.prepare<[string, string], PushSubscription>(
    'SELECT * FROM pushSubscriptions WHERE recipient = ? AND endpoint = ?',
  );
  const insert = database.prepare(
    'INSERT INTO pushSubscriptions ' +
      '(recipient, reader, endpoint, p256dh, auth, expirationTime, createdAt, since, through) VALUES ' +
      '(:recipient, :reader, :endpoint, :p256dh, :auth, :expirationTime, :createdAt, :head, :head)',
  );
  const renew = database.prepare(
    'UPDATE pushSubscriptions SET reader = :reader, p256dh = :p256dh, auth = :auth, expirationTime = :expirationTime ' +
      'WHERE recipient = :recipient AND endpoint = :endpoint',
  );
  const ofReader = database
    .prepare<[string, string], number>(
      'SELECT id FROM pushSubscriptions WHERE reader = ? AND recipient = ? ORDER BY id',
    )
    .pluck();
  const ofEndpoint = database
    .prepare<[{ endpoint: string; recipient: string | null }], number>(
      'SELECT id FROM pushSubscriptions WHERE endpoint = :endpoint AND recipient = coalesce(:recipient, recipient)',
    )
    .pluck();
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

  const removeAll = (ids: readonly number[]): PushChange => {
    for (const id of ids) {
      remove.run(id);
      removeNotices.run(id);
    }
    return { ...NOTHING, removed: ids };
  };

  const subscribe = (subscription: NewPushSubscription, most: number): PushChange => {
    const { recipient, reader, endpoint } = subscription;
    if (find.get(recipient, endpoint) !== undefined) {
      renew.run(subscription);
      return { ...NOTHING, stored: find.get(recipient, endpoint) };
    }
    insert.run({ ...subscription, head: head.get() ?? 0 });
    const { removed } = removeAll(ofReader.all(reader, recipient).slice(0, -most));
    return { stored: find.get(recipient, endpoint), isNew: true, removed };
  };

  return (entries) =>
    entries.map((entry) => {
      switch (entry.kind) {
        case 'subscribe':
          return subscribe(entry.subscription, entry.most);
        case 'unsubscribe':
          return removeAll(ofEndpoint.all({ endpoint: entry.endpoint, recipient: entry.recipient ?? null }));
        case 'notified':
          notice.run(entry);
          return NOTHING;
        case 'closed':
          close.run(entry);
          return NOTHING;
        case 'through':
          setThrough.run(entry);
          return NOTHING;
      }
    });
}
