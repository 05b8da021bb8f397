import type { Draft, Message } from '../message.ts';
import type { Conversation, ConversationPage, ConversationState, RoomState } from './conversation.ts';
import type { Gap } from './cursor.ts';
import type { AppendFault } from './entry.ts';
import type { BackPage, ForwardPage, Inboxes, MessageVisitor } from './inboxes.ts';

/** A draft as it is in the log. */
export interface Stored {
  readonly message: Message;
  /** `false` if nothing was stored: the message is the first with its idempotency key, or the current read marker. */
  readonly isNew: boolean;
}

/** The beginning of a replay. */
export interface Start {
  /** The position just before the first message to come. */
  readonly after: number;
  readonly gap: Gap;
  /** The highest id that retention had removed from one of the inboxes: `gap` covers what is missing up to here. */
  readonly purgedThrough: number;
}

/** A batch that was refused because of one of its drafts. Nothing of it was stored. */
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

/** The log cannot be written or read now. The message says why, in words fit for a client. */
export class LogUnavailable extends Error {
  /**
   * Whether the write may be on disk all the same, so that the next start finds it: its commit had begun. If `false`,
   * nothing of it is.
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

/** This replica has not caught up with the others, so it cannot tell what comes after a cursor. */
export class LogBehind extends LogUnavailable {
  constructor(why: string) {
    super(why);
    this.name = 'LogBehind';
  }
}

/** A batch that is too large for one entry. Nothing of it was stored. */
export class BatchTooLarge extends Error {
  /** The bytes of the batch, as it would be in the log. */
  readonly bytes: number;
  /** The maximum number of bytes of a batch. */
  readonly maxBytes: number;
  constructor(bytes: number, maxBytes: number) {
    super(`the batch takes ${bytes} bytes in the log, and may take ${maxBytes}`);
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
 * The one ordered, durable sequence of messages. Callers do not depend on how the order is chosen.
 *
 * Every read ends at `head`: nobody sees a message before it was handed to the listeners. Expired messages are never
 * returned. All reads throw `LogUnreadable` if the disk fails.
 */
export interface MessageLog {
  /** The id of the newest message that was handed to the listeners, or of the newest ever; 0 before the first. */
  readonly head: number;

  /**
   * Why nothing may be read now, since this replica may have missed what others have; `undefined` while it can. Reads do not
   * check it.
   */
  readonly cutOff: string | undefined;

  /** Returns the cursor of a position, as a client keeps it: `42-k3f9`. */
  cursor(id: number): string;

  /**
   * Waits until this replica has what others had at the time of the call, if a cursor is ahead of it. After that, `locate`
   * can tell whether the cursor comes from this log.
   *
   * @returns `undefined` if the cursor is not ahead, so there is nothing to wait for
   * @throws {LogBehind} if that takes too long
   */
  reach(cursor: string): Promise<void> | undefined;

  /** Returns the position of a client's cursor in the inboxes that it follows. A text that is not a cursor is a gap. */
  locate(cursor: string, inboxes: Inboxes): Start;

  /** Returns the position before the newest `count` messages of inboxes: the head if there are none or none are wanted. */
  newest(inboxes: Inboxes, count: number): Start;

  /**
   * Stores a batch: all of it in order, or nothing. When the promise resolves, the batch is on disk and was handed to
   * the listeners.
   *
   * @returns each draft as it is in the log, in order
   * @throws {BatchRefused} if one of its drafts contradicts the log
   * @throws {BatchTooLarge} if it is too large for one entry
   * @throws {LogUnavailable} if the log cannot be written or is being closed
   */
  append(batch: readonly Draft[]): Promise<Stored[]>;

  /**
   * Checks that an append would not be refused because too much waits. Call it before reading a publish.
   *
   * @throws {LogUnavailable} if it would
   */
  checkRoom(): void;

  /** Returns a message by its id; `undefined` if it does not exist, or no longer. */
  message(id: number): Message | undefined;

  /** Reads messages of inboxes with id > `after`, the oldest first. At most `limit` are looked at. */
  readAfter(inboxes: Inboxes, after: number, limit: number, visit: MessageVisitor): ForwardPage;

  /**
   * Reads messages of inboxes with id < `before`, the newest first, until `visit` ends the page or all are read.
   *
   * Expired ones are skipped for some milliseconds, so a page may end without a message and not be the last.
   */
  readBack(inboxes: Inboxes, before: number, visit: MessageVisitor): BackPage;

  /** Reads the messages between two addresses, as `readBack` does. */
  readConversation(pair: readonly [string, string], before: number, visit: MessageVisitor): BackPage;

  /**
   * Lists the conversations of an address whose last message has an id < `before`, the newest first. It looks for some
   * milliseconds, so a page may have fewer than `limit`, or none, and not be the last.
   *
   * @param fits whether there is room for a conversation; asked in order. The first one is listed in any case
   * @returns with `head`: a little past the head of the log if a commit has not been handed on yet
   */
  conversations(
    address: string,
    before: number,
    limit: number,
    fits: (conversation: Conversation) => boolean,
  ): ConversationPage;

  /** Returns the state of one conversation of an address, also if it has no message. */
  conversation(address: string, peer: string): ConversationState<Conversation>;

  /** Returns the state of a room for a follower. */
  room(reader: string, room: string): ConversationState<RoomState>;

  /**
   * Calls `listener` with the new messages of each commit, in id order, before their publishers get an answer. If it
   * returns a promise, the next commit waits until that has settled.
   */
  onCommit(listener: (messages: readonly Message[]) => Promise<void> | void): void;
}

/** Tells whether a log can be written and read. */
export interface LogHealth {
  /** Why every publish is refused now; `undefined` while they are not. */
  readonly refusing: string | undefined;

  /** Tries to write and read. @throws {LogUnavailable} if that fails */
  probe(): Promise<void>;
}
