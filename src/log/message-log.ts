import type { Draft, Message } from '../message.ts';
import type { Conversation, ConversationPage, ConversationState, RoomState } from './conversation.ts';
import type { Gap } from './cursor.ts';
import type { AppendFault } from './entry.ts';
import type { BackPage, ForwardPage, Inboxes, MessageVisitor } from './inboxes.ts';

/** A draft as it is in the log. */
export interface Stored {
  readonly message: Message;
  /**
   * `false` if nothing was stored: `message` is then the first one with the same idempotency key, or the current read
   * marker.
   */
  readonly isNew: boolean;
}

/** The beginning of a replay. */
export interface Start {
  /** The position just before the first message of the replay. */
  readonly after: number;
  readonly gap: Gap;
  /**
   * The highest id that retention had removed from one of the inboxes. `gap` reports anything missing up to this id.
   */
  readonly purgedThrough: number;
}

/** A batch refused because of one of its drafts. None of it was stored. */
export class BatchRefused extends Error {
  readonly fault: AppendFault['fault'];
  readonly index: number;
  constructor({ fault, index }: AppendFault) {
    super(`draft ${index}: ${fault}`);
    this.name = 'BatchRefused';
    this.fault = fault;
    this.index = index;
  }
}

/** The log cannot be written or read now. The message says why and may be sent to clients. */
export class LogUnavailable extends Error {
  /**
   * Whether the write may still reach the disk and be found at the next start, because its commit had begun. If
   * `false`, none of it was written.
   */
  readonly mayBeStored: boolean;

  constructor(
    why: string,
    { mayBeStored = false, ...options }: ErrorOptions & { mayBeStored?: boolean } = {},
  ) {
    super(why, options);
    this.name = 'LogUnavailable';
    this.mayBeStored = mayBeStored;
  }
}

/** This replica has not caught up with the others, so it cannot tell which messages follow a cursor. */
export class LogBehind extends LogUnavailable {
  constructor(why: string) {
    super(why);
    this.name = 'LogBehind';
  }
}

/** A batch too large for one entry. None of it was stored. */
export class BatchTooLarge extends Error {
  /** The size that the batch would have in the log, in bytes. */
  readonly bytes: number;
  /** The maximum size of a batch, in bytes. */
  readonly maxBytes: number;
  constructor(bytes: number, maxBytes: number) {
    super(`the batch takes ${bytes} bytes in the log, more than the maximum of ${maxBytes}`);
    this.name = 'BatchTooLarge';
    this.bytes = bytes;
    this.maxBytes = maxBytes;
  }
}

/** The log cannot be read now. */
export class LogUnreadable extends LogUnavailable {
  constructor(why: string, options?: ErrorOptions) {
    super(why, options);
    this.name = 'LogUnreadable';
  }
}

/**
 * The ordered, durable sequence of all messages. Callers do not depend on how the order is chosen.
 *
 * Every read ends at `head`, so nobody sees a message before the listeners have received it. Expired messages are never
 * returned. All reads throw `LogUnreadable` if the disk fails.
 */
export interface MessageLog {
  /** The id of the newest message passed to the listeners, or of the newest ever stored; 0 before the first. */
  readonly head: number;

  /**
   * Why nothing should be read now: this replica may have missed messages that others have. `undefined` while reading
   * is safe. Reads do not check it.
   */
  readonly cutOff: string | undefined;

  /** Returns the cursor of a position, in the form that clients keep: `42-k3f9`. */
  cursor(id: number): string;

  /**
   * If a cursor is ahead of this replica, waits until the replica has everything that others had at the time of the
   * call. Then `locate` can tell whether the cursor comes from this log.
   *
   * @returns `undefined` if the cursor is not ahead and there is nothing to wait for
   * @throws {LogBehind} if that takes too long
   */
  reach(cursor: string): Promise<void> | undefined;

  /**
   * Returns the position of a client's cursor in the inboxes that it follows. If the text is not a cursor, reports a
   * gap.
   */
  locate(cursor: string, inboxes: Inboxes): Start;

  /**
   * Returns the position just before the newest `count` messages of the inboxes: the head if there are none, or if
   * `count` is 0.
   */
  newest(inboxes: Inboxes, count: number): Start;

  /**
   * Stores a batch: all of it in order, or nothing. When the promise resolves, the batch is on disk and has been passed
   * to the listeners.
   *
   * @returns each draft as it is in the log, in order
   * @throws {BatchRefused} if one of its drafts contradicts the log
   * @throws {BatchTooLarge} if the batch is too large for one entry
   * @throws {LogUnavailable} if the log cannot be written or is closing
   */
  append(batch: readonly Draft[]): Promise<Stored[]>;

  /**
   * Checks that the queue has room for an append. Call it before reading the body of a publish.
   *
   * @throws {LogUnavailable} if the queue is full
   */
  checkRoom(): void;

  /** Returns a message by its id; `undefined` if it does not exist, has expired or was removed. */
  message(id: number): Message | undefined;

  /** Reads messages of inboxes with id > `after`, the oldest first. Looks at no more than `limit`. */
  readAfter(inboxes: Inboxes, after: number, limit: number, visit: MessageVisitor): ForwardPage;

  /**
   * Reads messages of inboxes with id < `before`, the newest first, until `visit` ends the page or none are left.
   *
   * Spends only some milliseconds on skipping expired messages, so a page may be empty without being the last.
   */
  readBack(inboxes: Inboxes, before: number, visit: MessageVisitor): BackPage;

  /** Reads the messages between two addresses, as `readBack` does. */
  readConversation(pair: readonly [string, string], before: number, visit: MessageVisitor): BackPage;

  /**
   * Lists the conversations of an address whose last message has an id < `before`, the newest first. Stops after some
   * milliseconds, so a page may have fewer than `limit` conversations, or none, without being the last.
   *
   * @param fits returns whether a conversation fits on the page; called in order. The first one is always listed
   * @returns the page. Its `head` may be slightly past the head of the log while a commit is still being delivered
   */
  conversations(
    address: string,
    before: number,
    limit: number,
    fits: (conversation: Conversation) => boolean,
  ): ConversationPage;

  /** Returns the state of one conversation of an address, even if it has no messages. */
  conversation(address: string, peer: string): ConversationState<Conversation>;

  /** Returns the state of a room for a follower. */
  room(reader: string, room: string): ConversationState<RoomState>;

  /**
   * Calls `listener` with the new messages of each commit, in id order, before their publishers get an answer. If it
   * returns a promise, the next commit waits until the promise settles.
   */
  onCommit(listener: (messages: readonly Message[]) => Promise<void> | void): void;
}

/** Tells whether a log can be written and read. */
export interface LogHealth {
  /** Why every publish is refused now; `undefined` while they are accepted. */
  readonly refusing: string | undefined;

  /** Tries to write and read. @throws {LogUnavailable} if that fails */
  probe(): Promise<void>;
}
