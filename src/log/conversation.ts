import type { Message } from '../message.ts';

/** A pair of addresses, seen from one of them. */
export interface Conversation {
  readonly peer: string;
  /** The newest that counts and has not expired, in either direction; `null` if there is none, never so in a list. */
  readonly lastMessage: Message | null;
  /** How many messages of the peer that count come after `readThrough`; counted to 1000 and no further. */
  readonly unread: number;
  /** Through which id this side has read, and the peer; `null` where it never said. */
  readonly readThrough: number | null;
  readonly peerReadThrough: number | null;
}

/** A room, as one of those who follow it sees it. */
export interface RoomState {
  readonly room: string;
  /** The newest of its inbox that counts and has not expired; `null` if there is none. */
  readonly lastMessage: Message | null;
  /** How many messages that count came to it from others after `readThrough`; counted to 1000 and no further. */
  readonly unread: number;
  /** Through which id the reader has read in it; `null` if they never said. */
  readonly readThrough: number | null;
}

/** How one conversation stands, or one room. */
export interface ConversationState<State> {
  readonly state: State;
  /** The id that the log was read through. */
  readonly head: number;
}

/** Conversations in a list, and where it goes on. */
export interface ConversationPage {
  readonly conversations: Conversation[];
  /** The id that the log was read through. */
  readonly head: number;
  readonly more: boolean;
  /** The next page has those whose last message has a lower id than this; `undefined` if there is none. */
  readonly before: number | undefined;
}
