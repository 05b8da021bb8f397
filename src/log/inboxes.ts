import type { Message } from '../message.ts';

/** Addresses whose inboxes are read together, each at most once; or `['*']` for the whole log. */
export type Inboxes = readonly string[];

/** Gets the messages of a page in order. `false` says that this one has no room, and ends the page before it. */
export type MessageVisitor = (message: Message) => boolean;

/** The end of a page. */
export interface PageEnd {
  /** The highest id looked at: the next page begins after it. */
  readonly through: number;
  /** Whether there may be more messages up to the head. */
  readonly more: boolean;
  /** Whether the next message had no room; then there certainly is one. */
  readonly full: boolean;
}

/** A page read forward, and whether retention overtook its reader. */
export interface ForwardPage extends PageEnd {
  /** The highest id that retention has removed from one of the inboxes, at the moment of reading. */
  readonly purgedThrough: number;
}

/** The end of a page that was read backward. */
export interface BackPage {
  /** Whether there may be more. */
  readonly more: boolean;
  /** The lowest id looked at: the next page is read before it. */
  readonly before: number;
}
