import type { CoveredNotice, PushStore, PushSubscription, Received } from '../log/push-store.ts';
import { isExpired, MESSAGE_TYPE } from '../message.ts';

/** Messages that are looked at in one step: a few milliseconds. */
const STEP = 500;

/** What a device is to be told now. */
export interface Due {
  /** Conversations that were read elsewhere, whose notification is to be closed. */
  readonly covered: readonly CoveredNotice[];
  /** The newest message of each conversation that is due. */
  readonly messages: ReadonlyMap<string, number>;
  /** All up to this id is dealt with when these are handed over. */
  readonly through: number;
  /** Milliseconds until the next conversation is due; `undefined` where none waits for that. */
  readonly nextIn: number | undefined;
}

/** The conversation that a received message belongs to, as its reader calls it: whom they talk to, or the room. */
function peerOf({ recipient, reader }: PushSubscription, sender: string): string {
  return reader === recipient ? sender : recipient;
}

/** All names of the people behind a device: what one of them sent is no news to it. */
function ownAddresses(store: PushStore, endpoint: string): ReadonlySet<string> {
  return new Set(store.ofEndpoint(endpoint).flatMap(({ recipient, reader }) => [recipient, reader]));
}

/** What is unread of a conversation, and not handed over. */
interface Unread {
  readonly oldest: number;
  newest: number;
  /** Milliseconds until the oldest has waited long enough; 0 where it has. */
  readonly wait: number;
}

/**
 * Finds what a device is to be told, out of the log alone: the newest message of each conversation in which one has
 * waited long enough and no read marker covers it.
 */
export class DueSearch {
  readonly #store: PushStore;
  readonly #subscription: PushSubscription;
  readonly #head: number;
  readonly #now: number;
  readonly #delay: number;
  readonly #own: ReadonlySet<string>;
  readonly #unread = new Map<string, Unread>();
  #looked: number;

  /**
   * @param head the log is read through this id
   * @param now milliseconds since the Unix epoch
   * @param delay milliseconds that a message waits to be read
   */
  constructor(store: PushStore, subscription: PushSubscription, head: number, now: number, delay: number) {
    this.#store = store;
    this.#subscription = subscription;
    this.#head = head;
    this.#now = now;
    this.#delay = delay;
    this.#own = ownAddresses(store, subscription.endpoint);
    this.#looked = subscription.through;
  }

  /** Looks at some more messages. @returns whether there may be others */
  step(): boolean {
    const page = this.#store.received(this.#subscription.recipient, this.#looked, this.#head, STEP);
    for (const message of page) {
      this.#looked = message.id;
      if (!this.#isNews(message)) continue;
      const { id, sender, createdAt } = message;
      const peer = peerOf(this.#subscription, sender);
      const unread = this.#unread.get(peer);
      if (unread === undefined)
        this.#unread.set(peer, { oldest: id, newest: id, wait: this.#waitOf(createdAt) });
      else unread.newest = id;
    }
    return page.length === STEP;
  }

  /** What was found. */
  get due(): Due {
    const { id, reader } = this.#subscription;
    const messages = new Map<string, number>();
    let through = this.#looked;
    let nextIn: number | undefined;
    for (const [peer, { oldest, newest, wait }] of this.#unread) {
      if (wait === 0) {
        messages.set(peer, newest);
      } else {
        through = Math.min(through, oldest - 1);
        nextIn = Math.min(nextIn ?? Infinity, wait);
      }
    }
    return { covered: this.#store.covered(id, reader), messages, through, nextIn };
  }

  /** One from the future is of a clock that was wrong: it waits for nothing. */
  #waitOf(createdAt: number): number {
    const age = this.#now - createdAt;
    return age >= 0 && age < this.#delay ? this.#delay - age : 0;
  }

  #isNews({ id, sender, type, expiresAt }: Received): boolean {
    const { id: subscription, reader } = this.#subscription;
    const peer = peerOf(this.#subscription, sender);
    return (
      type === MESSAGE_TYPE &&
      !isExpired({ expiresAt }, this.#now) &&
      !this.#own.has(sender) &&
      this.#store.readThrough(reader, peer) < id &&
      // Handed over before: another conversation still waits, or the process ended before it could write down the rest.
      this.#store.notified(subscription, peer) < id
    );
  }
}
