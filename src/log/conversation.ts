import type { Message } from '../message.ts';

/** A pair of addresses, seen from one of them. */
export interface Conversation {
  readonly peer: string;
  /**
   * The newest message in either direction that counts and has not expired; `null` if there is none, but never in a
   * list.
   */
  readonly lastMessage: Message | null;
  /** The number of messages from the peer after `readThrough` that count, capped at 1000. */
  readonly unread: number;
  /** The ids up to which this side and the peer have read; `null` without a read marker. */
  readonly readThrough: number | null;
  readonly peerReadThrough: number | null;
}

/** A room, as one of its followers sees it. */
export interface RoomState {
  readonly room: string;
  /** The newest message of its inbox that counts and has not expired; `null` if there is none. */
  readonly lastMessage: Message | null;
  /** The number of messages from others after `readThrough` that count, capped at 1000. */
  readonly unread: number;
  /** The id up to which the reader has read; `null` without a read marker. */
  readonly readThrough: number | null;
}

/** The state of one conversation or room. */
export interface ConversationState<State> {
  readonly state: State;
  /** The id through which the log was read. */
  readonly head: number;
}

/** A page of a list of conversations. */
export interface ConversationPage {
  readonly conversations: Conversation[];
  /** The id through which the log was read. */
  readonly head: number;
  readonly more: boolean;
  /** The last messages of the next page have lower ids than this; `undefined` if there is no next page. */
  readonly before: number | undefined;
}
