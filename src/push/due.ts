import type { PushStore, PushSubscription, Received } from '../log/push-store.ts';
import { isExpired } from '../message.ts';

/** Messages in one page, which takes a few milliseconds to read. */
const PAGE = 200;

/** Conversations in one search. Others are found after these are sent. */
const MAX_FOUND = 100;

/** The notifications that are due for a device. Messages are named only by their ids, since they may wait for long. */
export interface Due {
  /** Messages whose conversations were read elsewhere: their notifications must be closed. */
  readonly covered: readonly number[];
  /** The newest message of each conversation that is due. */
  readonly messages: readonly number[];
  /** After these are sent, everything up to this id is done; `undefined` if that was known before. */
  readonly through: number | undefined;
  /** Whether another search will find more after these are sent. */
  readonly more: boolean;
  /** Milliseconds until the next conversation is due; `undefined` if none will be. */
  readonly nextIn: number | undefined;
}

/** The time of a search. */
export interface DueTime {
  /** The last id to read. */
  readonly head: number;
  /** Milliseconds since the Unix epoch. */
  readonly now: number;
  /** Milliseconds that a message stays unread before it is due. */
  readonly delay: number;
}

/** Returns the conversation of a received message, by its name for the reader: the other person, or the room. */
export function peerOf({ recipient, reader }: PushSubscription, sender: string): string {
  return reader === recipient ? sender : recipient;
}

/** Unread messages of a conversation that were not sent. */
interface Unread {
  readonly oldest: number;
  newest: number;
  /** Milliseconds until the oldest has waited long enough; 0 if it has. */
  readonly wait: number;
}

/**
 * Finds the notifications that are due for a device, using only the log: the newest message of each conversation that
 * has an unread message which has waited long enough. Yields after each page.
 */
export function* findDue(
  store: PushStore,
  subscription: PushSubscription,
  time: DueTime,
): Generator<undefined, Due> {
  const { id: subscriptionId, recipient, reader } = subscription;
  const found = new Map<string, Unread>();
  let lastRead = subscription.through;
  /** The first message of a conversation that exceeds `MAX_FOUND`. */
  let firstLeft: number | undefined;
  for (;;) {
    const page = store.received(recipient, lastRead, time.head, PAGE);
    for (const message of page) {
      lastRead = message.id;
      const { id, sender, createdAt } = message;
      const peer = peerOf(subscription, sender);
      if (!isNews(store, subscription, peer, message, time.now)) continue;
      const unread = found.get(peer);
      if (unread !== undefined) unread.newest = id;
      else if (found.size < MAX_FOUND)
        found.set(peer, { oldest: id, newest: id, wait: waitOf(createdAt, time) });
      else firstLeft ??= id;
    }
    if (page.length < PAGE) break;
    yield;
  }
  const all = [...found.values()];
  const waiting = all.filter(({ wait }) => wait > 0);
  const covered = store.covered(subscriptionId, reader, MAX_FOUND);
  const messages = all.filter(({ wait }) => wait === 0).map(({ newest }) => newest);
  const through = Math.min(lastRead, (firstLeft ?? Infinity) - 1, ...waiting.map(({ oldest }) => oldest - 1));
  return {
    covered,
    messages,
    through: through > subscription.through ? through : undefined,
    more: covered.length === MAX_FOUND || (firstLeft !== undefined && messages.length > 0),
    nextIn: waiting.length === 0 ? undefined : Math.min(...waiting.map(({ wait }) => wait)),
  };
}

/** Returns how long a message must still wait. A message from the future is due, because its clock was wrong. */
function waitOf(createdAt: number, { now, delay }: DueTime): number {
  const age = now - createdAt;
  return age >= 0 && age < delay ? delay - age : 0;
}

function isNews(
  store: PushStore,
  { id: subscription, endpoint, reader }: PushSubscription,
  peer: string,
  { id, sender, counts, expiresAt }: Received,
  now: number,
): boolean {
  return (
    counts === 1 &&
    !isExpired({ expiresAt }, now) &&
    store.readThrough(reader, peer) < id &&
    // It may have been sent before: another conversation still waits, or the process ended before it recorded `through`.
    store.notified(subscription, peer) < id &&
    // Messages that one of the device's own addresses sent are no news to it.
    !store.isOwn(endpoint, sender)
  );
}
