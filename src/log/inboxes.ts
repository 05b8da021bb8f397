import type { Message } from '../message.ts';

/** Addresses, without duplicates, whose inboxes are read together; or `['*']` for the whole log. */
export type Inboxes = readonly string[];

/**
 * Receives the messages of a page in order. Returns `false` if this one does not fit, which ends the page before it.
 */
export type MessageVisitor = (message: Message) => boolean;

/** The end of a page. */
export interface PageEnd {
  /** The highest id examined: the next page begins after it. */
  readonly through: number;
  /** Whether there may be more messages up to the head. */
  readonly more: boolean;
  /** Whether the page ended because the next message did not fit. */
  readonly full: boolean;
}

/** The end of a page that was read forward, and whether retention overtook its reader. */
export interface ForwardPage extends PageEnd {
  /** The highest id that retention had removed from one of the inboxes at the time of the read. */
  readonly purgedThrough: number;
}

/** The end of a page that was read backward. */
export interface BackPage {
  /** Whether there may be more. */
  readonly more: boolean;
  /** The lowest id examined: the next page is read before it. */
  readonly before: number;
}
