import type { Draft, Message } from '../message.ts';
import type { AppendFault } from './append.ts';
import type { Conversation, ConversationPage, ConversationState, RoomState } from './conversation.ts';
import type { Gap } from './cursor.ts';
import type { PushStore } from './push-store.ts';
import type { BackPage, Inboxes, PageEnd, Take } from './store.ts';

/** Where a draft came to stand. */
export interface Stored {
  readonly message: Message;
  /** `false` where nothing was stored: the message is the first of its idempotency key, or the standing read marker. */
  readonly isNew: boolean;
}

/** Where a replay begins. */
export interface Start {
  /** The position just before the first message to come. */
  readonly after: number;
  readonly gap: Gap;
  /** The highest id that retention had taken from one of the inboxes: `gap` covers what is missing up to here. */
  readonly purgedThrough: number;
}

/** A page read forward, and whether retention overtook its reader. */
export interface ForwardPage extends PageEnd {
  /** The highest id that retention took from one of the inboxes, as of the moment of reading. */
  readonly purgedThrough: number;
}

/** What a log did since the start. */
export interface LogCounts {
  /** Batches that stored at least one message. */
  readonly stored: number;
  /** Batches in which nothing was new: repeats of an idempotency key, read markers that do not move. */
  readonly repeated: number;
  /** Messages stored. */
  readonly messages: number;
  /** Groups of batches made durable together, that stored at least one message. */
  readonly commits: number;
  /** Groups that could not be stored. */
  readonly failures: number;
  /** Messages that retention took. */
  readonly purged: number;
}

/** How long a commit took. */
export interface CommitTimes {
  /** How many messages it stored; at least one. */
  readonly messages: number;
  /** From when the oldest of its batches was taken until it was on disk. */
  readonly waitSeconds: number;
  /** The transaction, in the writer thread. */
  readonly seconds: number;
  /** The part of `seconds` in which it was made durable: the COMMIT, with its fsync. */
  readonly syncSeconds: number;
}

/** What a log takes on its disk, in bytes. */
export interface LogFiles {
  readonly database: number;
  /** The write-ahead log. */
  readonly wal: number;
  /** What is left for it. */
  readonly available: number;
}

/** A batch that was not stored because of one of its drafts. Nothing of it was. */
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
   * Whether what was to be written may be on disk all the same, and be found there by the next start: its commit had
   * begun. If not, nothing of it is.
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

/** The log cannot be read now. */
export class LogUnreadable extends LogUnavailable {
  constructor(why: string, options?: ErrorOptions) {
    super(why, options);
    this.name = 'LogUnreadable';
  }
}

/**
 * The one ordered, durable sequence of messages, as the rest of the program sees it. How the order came about is its
 * own affair.
 *
 * What `head` does not cover yet is seen by nobody: every read ends there. Expired messages are never given out.
 */
export interface MessageLog {
  /** The id of the newest message that was handed to the listeners, or of the newest ever; 0 before the first. */
  readonly head: number;

  /** Why publishes are refused now, whatever they are; `undefined` while they are not. */
  readonly refusing: string | undefined;

  /** The subscriptions to notifications. */
  readonly pushes: PushStore;

  /** The cursor of a position, as a client keeps it: `42-k3f9`. */
  cursor(id: number): string;

  /** Where a client's cursor leads for the inboxes that it follows. Never throws: what is no cursor is a gap. */
  locate(cursor: string, inboxes: Inboxes): Start;

  /** Where the newest `count` messages of inboxes begin; the head where there are none, or none are wanted. */
  newest(inboxes: Inboxes, count: number): Start;

  /**
   * Stores a batch: all of it in order, or nothing. When it resolves, the batch is on disk and was handed to the
   * listeners.
   *
   * @returns for each draft where it came to stand
   * @throws {BatchRefused} where one of its drafts contradicts the log
   * @throws {LogUnavailable} where the log cannot be written, or is being closed
   */
  append(batch: readonly Draft[]): Promise<Stored[]>;

  /**
   * Looks whether an append would be refused because too much waits: to be asked before a publish is read.
   *
   * @throws {LogUnavailable} if so
   */
  checkRoom(): void;

  /** A message by its id, or `undefined` where there is none (any more). */
  message(id: number): Message | undefined;

  /** Reads on from a position, the oldest first; at most `limit` are looked at. */
  readAfter(inboxes: Inboxes, after: number, limit: number, take: Take): ForwardPage;

  /**
   * Reads messages with id < `before`, the newest first.
   *
   * Expired ones are passed over for some milliseconds: then a page may end that has not taken anything.
   */
  readBack(inboxes: Inboxes, before: number, limit: number, take: Take): BackPage;

  /** Reads what two addresses sent to each other, as `readBack`. */
  readConversation(pair: readonly [string, string], before: number, limit: number, take: Take): BackPage;

  /**
   * Lists the conversations of an address whose last message has an id < `before`, newest first: for some milliseconds,
   * so a page may have fewer than `limit`, or none, and still not be the last.
   *
   * @param fits whether there is room for a conversation; asked in order. The first one is listed in any case
   * @returns `head`: through which id; a little past `head` if a commit has not been handed on yet
   */
  conversations(
    address: string,
    before: number,
    limit: number,
    fits: (conversation: Conversation) => boolean,
  ): ConversationPage;

  /** Tells how one conversation of an address stands, also if there is no message of it. */
  conversation(address: string, peer: string): ConversationState<Conversation>;

  /** Tells how a room stands for one who follows it. */
  room(reader: string, room: string): ConversationState<RoomState>;

  /**
   * Calls `listener` with the new messages of each commit, in id order, before their publishers get an answer. If it
   * returns a promise, the next commit comes when that has settled.
   */
  onCommit(listener: (messages: readonly Message[]) => Promise<void> | void): void;

  /** Calls `timer` once for each commit that stored something. */
  onTimed(timer: (times: CommitTimes) => void): void;

  /** What was done since the start. */
  readonly counts: LogCounts;

  /** What stands on the disk now. @throws what the file system throws, where it cannot be asked */
  files(): Promise<LogFiles>;

  /** Tries to write and read. @throws {LogUnavailable} where that fails */
  probe(): Promise<void>;

  /** Refuses appends from now on, and waits until those that were taken are stored and handed on. */
  seal(): Promise<void>;

  /** Seals, checkpoints and closes: nothing can be read any more. */
  close(): Promise<void>;
}
