/** A device that wants the notifications of one inbox (W3C Push API §9, the fields of its JSON). */
export interface NewPushSubscription {
  /** Whose messages. */
  readonly recipient: string;
  /** Whose read markers count: the recipient itself, or the member of the room that the recipient is. */
  readonly reader: string;
  /** Where its push service takes messages for it: a URL that is a secret. */
  readonly endpoint: string;
  /** Its keys (RFC 8291 §2), base64url. */
  readonly p256dh: string;
  readonly auth: string;
  /** Milliseconds since the Unix epoch, as `createdAt`; `null` where it does not end. */
  readonly expirationTime: number | null;
  readonly createdAt: number;
}

/** One that is stored. */
export interface PushSubscription extends NewPushSubscription {
  readonly id: number;
  /** The head when it began. */
  readonly since: number;
  /** All up to this id was handed to the push service, or needs no notification. */
  readonly through: number;
}

/** What finds the subscriptions that a message is for. */
export type PushAddress = Pick<PushSubscription, 'id' | 'recipient' | 'reader'>;

/** A notification that a device may still show, and which a read marker covers by now. */
export interface CoveredNotice {
  readonly peer: string;
  /** The message that it shows. */
  readonly messageId: number;
  /** How far the reader has read. */
  readonly through: number;
}

/** What is looked at of a received message to see whether it needs a notification. */
export interface Received {
  readonly id: number;
  readonly sender: string;
  readonly type: string;
  readonly createdAt: number;
  readonly expiresAt: number | null;
}

/** One change, applied in the order of the log's writes. */
export type PushEntry =
  /** Begins at the head; one that is known gets the new keys and goes on where it was. */
  | {
      readonly kind: 'subscribe';
      readonly subscription: NewPushSubscription;
      /** So many devices of one reader may follow one recipient: past it the oldest goes. */
      readonly most: number;
    }
  /** Takes an endpoint away: from one inbox, or from all. */
  | { readonly kind: 'unsubscribe'; readonly endpoint: string; readonly recipient: string | undefined }
  /** A notification of a conversation was handed over. */
  | PushNotice<'notified'>
  /** The notification that showed this message, or one before, is closed. */
  | PushNotice<'closed'>
  | { readonly kind: 'through'; readonly id: number; readonly through: number };

interface PushNotice<Kind extends string> {
  readonly kind: Kind;
  readonly id: number;
  readonly peer: string;
  readonly messageId: number;
}

/** What an entry changed. */
export interface PushChange {
  /** What stands after a `subscribe`; else `undefined`. */
  readonly stored: PushSubscription | undefined;
  /** Whether `stored` was not there before. */
  readonly isNew: boolean;
  /** The ids of those that are gone. */
  readonly removed: readonly number[];
}

/** The subscriptions to notifications, kept beside the log, and what of the log they are about. */
export interface PushStore {
  /** Every subscription's id with its addresses. */
  addresses(): PushAddress[];

  /** A subscription, or `undefined` where it is gone. */
  subscription(id: number): PushSubscription | undefined;

  /** Those of one inbox, the oldest first. */
  ofRecipient(recipient: string): PushSubscription[];

  /** Those of one device: one for each inbox that it follows. */
  ofEndpoint(endpoint: string): PushSubscription[];

  /** What an address received with `after` < id ≤ `head`, of any type, the oldest first; at most `limit`. */
  received(recipient: string, after: number, head: number, limit: number): Received[];

  /** How far a reader has read what a peer sent; 0 where it never said. */
  readThrough(reader: string, peer: string): number;

  /** The message that the open notification of a conversation shows; 0 where none is open. */
  notified(id: number, peer: string): number;

  /** The open notifications that a read marker covers. */
  covered(id: number, reader: string): CoveredNotice[];

  /** How many messages are unread on a device, over all inboxes that it follows: to 1000 and no further. */
  unread(endpoint: string): number;

  /**
   * Makes changes, all in one transaction. Calls are applied in their order.
   *
   * @returns what each entry changed, when it is on disk
   * @throws {LogUnavailable} where the log cannot be written; then nothing was changed
   */
  apply(entries: readonly PushEntry[]): Promise<readonly PushChange[]>;
}
