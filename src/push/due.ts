import type { PushStore, PushSubscription, Received } from '../log/push-store.ts';
import { isExpired } from '../message.ts';

/** Messages that are looked at in one piece: a few milliseconds. */
const STEP = 200;

/** Conversations that are found at once; others are found when these are handed over. */
const MOST_FOUND = 100;

/** What a device is to be told now, found in the log. It names messages by id alone, since it may wait for long. */
export interface Due {
  /** Messages whose conversations were read elsewhere: their notifications are to be closed. */
  readonly covered: readonly number[];
  /** The newest message of each conversation that is due. */
  readonly messages: readonly number[];
  /** All up to this id is dealt with when these are handed over; `undefined` if that is no news. */
  readonly through: number | undefined;
  /** Whether there are others, to be found when these are handed over. */
  readonly more: boolean;
  /** Milliseconds until the next conversation is due; `undefined` if none waits for that. */
  readonly nextIn: number | undefined;
}

/** When something is looked for. */
export interface DueTime {
  /** The log is read through this id. */
  readonly head: number;
  /** Milliseconds since the Unix epoch. */
  readonly now: number;
  /** Milliseconds that a message waits to be read. */
  readonly delay: number;
}

/** Returns the conversation that a received message belongs to, as its reader calls it: whom they talk to, or the room. */
export function peerOf({ recipient, reader }: PushSubscription, sender: string): string {
  return reader === recipient ? sender : recipient;
}

/** What is unread of a conversation, and not handed over. */
interface Unread {
  readonly oldest: number;
  newest: number;
  /** Milliseconds until the oldest has waited long enough; 0 if it has. */
  readonly wait: number;
}

/**
 * Finds what a device is to be told, out of the log alone: the newest message of each conversation in which one has
 * waited long enough and no read marker covers it. It yields after each piece of work.
 */
export function* findDue(
  store: PushStore,
  subscription: PushSubscription,
  time: DueTime,
): Generator<undefined, Due> {
  const { id: subscriptionId, recipient, reader } = subscription;
  const found = new Map<string, Unread>();
  let looked = subscription.through;
  /** The first message of a conversation that was not taken in. */
  let left: number | undefined;
  for (;;) {
    const page = store.received(recipient, looked, time.head, STEP);
    for (const message of page) {
      looked = message.id;
      const { id, sender, createdAt } = message;
      const peer = peerOf(subscription, sender);
      if (!isNews(store, subscription, peer, message, time.now)) continue;
      const unread = found.get(peer);
      if (unread !== undefined) unread.newest = id;
      else if (found.size < MOST_FOUND)
        found.set(peer, { oldest: id, newest: id, wait: waitOf(createdAt, time) });
      else left ??= id;
    }
    if (page.length < STEP) break;
    yield;
  }
  const all = [...found.values()];
  const waiting = all.filter(({ wait }) => wait > 0);
  const covered = store.covered(subscriptionId, reader, MOST_FOUND);
  const messages = all.filter(({ wait }) => wait === 0).map(({ newest }) => newest);
  const through = Math.min(looked, (left ?? Infinity) - 1, ...waiting.map(({ oldest }) => oldest - 1));
  return {
    covered,
    messages,
    through: through > subscription.through ? through : undefined,
    more: covered.length === MOST_FOUND || (left !== undefined && messages.length > 0),
    nextIn: waiting.length === 0 ? undefined : Math.min(...waiting.map(({ wait }) => wait)),
  };
}

/** A message from the future is of a clock that was wrong: it waits for nothing. */
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
    // Handed over before: another conversation still waits, or the process ended before it could write down the rest.
    store.notified(subscription, peer) < id &&
    // What one of the device's own addresses sent is no news to it.
    !store.isOwn(endpoint, sender)
  );
}
