/** A device's subscription to the notifications of one inbox (W3C Push API §9, the fields of its JSON). */
export interface NewPushSubscription {
  /** The client that created it: the `sub` of its token; `null` in open mode. */
  readonly client: string | null;
  /** The address whose inbox it follows. */
  readonly recipient: string;
  /** The address whose read markers count: the recipient itself, or a member if the recipient is a room. */
  readonly reader: string;
  /** The URL at which its push service accepts messages for it. It is a secret. */
  readonly endpoint: string;
  /** Its keys (RFC 8291 §2), base64url. */
  readonly p256dh: string;
  readonly auth: string;
  /** Milliseconds since the Unix epoch; `null` if it does not expire. */
  readonly expirationTime: number | null;
}

/** A stored subscription. */
export interface PushSubscription extends NewPushSubscription {
  readonly id: number;
  /** Milliseconds since the Unix epoch. */
  readonly createdAt: number;
  /** The head of the log when it was created. */
  readonly since: number;
  /** All messages up to this id were sent to the push service or need no notification. */
  readonly through: number;
}

/** The fields that identify a subscription. */
export type SubscriptionRef = Pick<PushSubscription, 'id' | 'recipient' | 'endpoint'>;

/** The limits on subscriptions. */
export interface PushBounds {
  /** Devices of one reader for one recipient. Beyond it the oldest is removed. */
  readonly devices: number;
  /** Recipients of one device. Beyond it a new one is refused. */
  readonly recipients: number;
  /** Subscriptions of one client. Beyond it a new one is refused. */
  readonly perClient: number;
}

/** The fields of a received message that decide whether it needs a notification. */
export interface Received {
  readonly id: number;
  readonly sender: string;
  /** 1 if it is of a kind that notifies, else 0. */
  readonly counts: 0 | 1;
  readonly createdAt: number;
  readonly expiresAt: number | null;
}

/** One change, applied in the order of the log's writes. */
export type PushChange =
  /** Adds a subscription that begins at the head. An existing one gets the new keys and keeps its position. */
  | {
      readonly kind: 'subscribe';
      readonly subscription: NewPushSubscription;
      readonly bounds: PushBounds;
    }
  /** Removes an endpoint from one inbox or from all: at most `limit` subscriptions. */
  | {
      readonly kind: 'unsubscribe';
      readonly endpoint: string;
      readonly recipient: string | undefined;
      readonly limit: number;
    }
  /** Removes one subscription. */
  | { readonly kind: 'remove'; readonly id: number }
  /** Records that a notification of a conversation was sent to the push service. */
  | PushNotice<'notified'>
  /** Records that the notification of this message, or of an earlier one, was closed. */
  | PushNotice<'closed'>
  | { readonly kind: 'through'; readonly id: number; readonly through: number };

interface PushNotice<Kind extends string> {
  readonly kind: Kind;
  readonly id: number;
  readonly peer: string;
  readonly messageId: number;
}

/** The outcome of one change. */
export interface PushOutcome {
  /** The subscription after a `subscribe` that was not refused; else `undefined`. */
  readonly stored: PushSubscription | undefined;
  /** The bound that a `subscribe` would have exceeded, in which case nothing was changed. */
  readonly refused: 'recipients' | 'perClient' | undefined;
  /** Whether `stored` did not exist before. */
  readonly isNew: boolean;
  /** The removed subscriptions. */
  readonly removed: readonly SubscriptionRef[];
}

/**
 * The subscriptions to notifications, stored beside the log, and the reads of the log that they need. Lists are read in
 * pages: `after` is the last id of the previous page, 0 for the first page; more may follow a page of `limit`.
 */
export interface PushStore {
  /** Returns each recipient that has subscriptions, with the number of them. */
  recipients(): Iterable<{ readonly recipient: string; readonly count: number }>;

  /** Returns a page of all subscriptions, the oldest first. */
  all(after: number, limit: number): SubscriptionRef[];

  /** Returns a page of the subscriptions to one inbox, the oldest first. */
  ofRecipient(recipient: string, after: number, limit: number): PushSubscription[];

  /** Returns a page of the subscriptions to one inbox with one reader, the oldest first. */
  ofReader(reader: string, recipient: string, after: number, limit: number): SubscriptionRef[];

  /** Returns a subscription; `undefined` if it was removed. */
  subscription(id: number): PushSubscription | undefined;

  /** Returns whether a device follows an inbox. */
  has(recipient: string, endpoint: string): boolean;

  /** Returns the inboxes that a device follows, at most `limit`, in no particular order. */
  inboxesOf(endpoint: string, limit: number): string[];

  /** Returns whether an address is the recipient or the reader of one of a device's subscriptions. */
  isOwn(endpoint: string, address: string): boolean;

  /** Returns up to `limit` messages of any kind that an address received with `after` < id ≤ `head`, the oldest first. */
  received(recipient: string, after: number, head: number, limit: number): Received[];

  /** Returns the id up to which a reader has read a peer; 0 without a read marker. */
  readThrough(reader: string, peer: string): number;

  /** Returns the id of the message that a conversation's open notification shows; 0 if none is open. */
  notified(id: number, peer: string): number;

  /** Returns the ids of up to `limit` open notifications' messages that a read marker covers, the oldest first. */
  covered(id: number, reader: string, limit: number): number[];

  /** Returns the conversation whose open notification shows a message; `undefined` if none does. */
  peerOfNotice(id: number, messageId: number): string | undefined;

  /**
   * Counts the unread messages of a device, up to 1000, in the inboxes that it follows (at most 100). Yields after each
   * inbox.
   */
  unread(endpoint: string): Generator<undefined, number>;

  /**
   * Applies changes in one transaction. Calls are applied in order.
   *
   * @returns the outcome of each change, once they are on disk
   * @throws {LogUnavailable} if the log cannot be written; its `mayBeStored` says whether something may have changed
   */
  apply(changes: readonly PushChange[]): Promise<readonly PushOutcome[]>;
}
