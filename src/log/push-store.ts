/** A device that wants the notifications of one inbox (W3C Push API §9, the fields of its JSON). */
export interface NewPushSubscription {
  /** The client that made it, the `sub` of its token; `null` in open mode. */
  readonly client: string | null;
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

/** A subscription as it is told from the others. */
export type PushPlace = Pick<PushSubscription, 'id' | 'recipient' | 'endpoint'>;

/** How many subscriptions there may be of one kind. */
export interface PushBounds {
  /** Devices of one reader for one recipient: past it the oldest goes. */
  readonly devices: number;
  /** Recipients of one device: past it a new one is refused. */
  readonly recipients: number;
  /** Subscriptions of one client: past it a new one is refused. */
  readonly ofClient: number;
}

/** What is looked at of a received message to see whether it needs a notification. */
export interface Received {
  readonly id: number;
  readonly sender: string;
  /** 1 if it is one of those that notify, else 0. */
  readonly counts: 0 | 1;
  readonly createdAt: number;
  readonly expiresAt: number | null;
}

/** One change, applied in the order of the log's writes. */
export type PushEntry =
  /** Begins at the head; one that is known gets the new keys and goes on where it was. */
  | {
      readonly kind: 'subscribe';
      readonly subscription: NewPushSubscription;
      readonly bounds: PushBounds;
    }
  /** Takes an endpoint away, from one inbox or from all: at most `limit` subscriptions. */
  | {
      readonly kind: 'unsubscribe';
      readonly endpoint: string;
      readonly recipient: string | undefined;
      readonly limit: number;
    }
  /** Takes one subscription away. */
  | { readonly kind: 'remove'; readonly id: number }
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
  /** The subscription after a `subscribe` that was not refused; else `undefined`. */
  readonly stored: PushSubscription | undefined;
  /** The bound that a `subscribe` would have exceeded; then nothing was changed. */
  readonly refused: 'recipients' | 'ofClient' | undefined;
  /** Whether `stored` was not there before. */
  readonly isNew: boolean;
  /** Subscriptions that are gone. */
  readonly removed: readonly PushPlace[];
}

/**
 * The subscriptions to notifications, kept beside the log, and what of the log they are about. Lists are read in pages:
 * `after` is the id of the last one of the page before, 0 for the first; a page of `limit` may have others behind it.
 */
export interface PushStore {
  /** Each recipient that has subscriptions, with their number. */
  recipients(): Iterable<{ readonly recipient: string; readonly count: number }>;

  /** A page of all subscriptions, the oldest first. */
  all(after: number, limit: number): PushPlace[];

  /** A page of those of one inbox, the oldest first. */
  ofRecipient(recipient: string, after: number, limit: number): PushSubscription[];

  /** A page of those of one inbox with one reader, the oldest first. */
  ofReader(reader: string, recipient: string, after: number, limit: number): PushPlace[];

  /** A subscription, or `undefined` if it is gone. */
  subscription(id: number): PushSubscription | undefined;

  /** Whether a device follows an inbox. */
  has(recipient: string, endpoint: string): boolean;

  /** The inboxes that a device follows, at most `limit`, in no order. */
  inboxesOf(endpoint: string, limit: number): string[];

  /** Whether an address is one of a device's own: the recipient or the reader of one of its subscriptions. */
  isOwn(endpoint: string, address: string): boolean;

  /** What an address received with `after` < id ≤ `head`, whatever it is, the oldest first; at most `limit`. */
  received(recipient: string, after: number, head: number, limit: number): Received[];

  /** How far a reader has read what a peer sent; 0 if they never said. */
  readThrough(reader: string, peer: string): number;

  /** The message that the open notification of a conversation shows; 0 if none is open. */
  notified(id: number, peer: string): number;

  /** The messages of open notifications that a read marker covers, the oldest first; at most `limit`. */
  covered(id: number, reader: string, limit: number): number[];

  /** The conversation whose open notification shows a message; `undefined` if none does. */
  peerOfNotice(id: number, messageId: number): string | undefined;

  /**
   * Counts the messages that are unread on a device, over the inboxes that it follows (100 of them at most): to 1000 and
   * no further. It goes inbox by inbox, and yields after each.
   */
  unread(endpoint: string): Generator<undefined, number>;

  /**
   * Makes changes, all in one transaction. Calls are applied in their order.
   *
   * @returns what each entry changed, when it is on disk
   * @throws {LogUnavailable} if the log cannot be written; it says whether something may have been changed
   */
  apply(entries: readonly PushEntry[]): Promise<readonly PushChange[]>;
}
