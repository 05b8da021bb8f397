import { EVERYTHING } from '../address.ts';
import type { Draft, Message } from '../message.ts';
import { CommitFrames, Delivery } from './delivery.ts';

/**
 * So many different sets of inboxes of one commit are remembered. Each keeps as many bytes as a socket takes at once;
 * past it the same are put together again.
 */
const MOST_UNIONS = 32;

/** What one commit has for each inbox that somebody follows. */
export class Commit {
  readonly #messages: readonly Message[];
  readonly #frames: CommitFrames;
  /** What each inbox has, and the place of that among all. */
  readonly #places = new Map<string, number>();
  readonly #deliveries: Delivery[] = [];
  readonly #unions = new Map<string, Delivery>();

  /**
   * @param messages in id order
   * @param cursor the cursor of an id
   * @param isFollowed whether somebody follows an inbox now
   */
  constructor(
    messages: readonly Message[],
    cursor: (id: number) => string,
    isFollowed: (address: string) => boolean,
  ) {
    this.#messages = messages;
    this.#frames = new CommitFrames(cursor);
    const touched = new Map<string, Message[]>();
    for (const message of messages) {
      for (const address of inboxesOf(message)) {
        const own = touched.get(address);
        if (own !== undefined) own.push(message);
        else if (isFollowed(address)) touched.set(address, [message]);
      }
    }
    for (const [address, own] of touched) {
      this.#places.set(address, this.#deliveries.push(new Delivery(own, this.#frames)) - 1);
    }
  }

  /** The inboxes that were touched and followed. */
  get inboxes(): Iterable<string> {
    return this.#places.keys();
  }

  /**
   * What the commit has for a follower: in id order, and each message once. Those whose inboxes got the same have the
   * same delivery, so that it is put together once.
   *
   * @param inboxes what it follows
   * @param follows the same, asked of one address
   * @returns `undefined` if there is nothing for it
   */
  deliveryFor(inboxes: readonly string[], follows: (address: string) => boolean): Delivery | undefined {
    const places: number[] = [];
    // Whichever is shorter: a commit to one room has two inboxes, a follower may have a hundred.
    if (inboxes.length <= this.#places.size) {
      for (const address of inboxes) {
        const place = this.#places.get(address);
        if (place !== undefined) places.push(place);
      }
    } else {
      for (const [address, place] of this.#places) if (follows(address)) places.push(place);
    }
    const [only = -1] = places;
    return places.length <= 1 ? this.#deliveries[only] : this.#union(places);
  }

  #union(places: number[]): Delivery {
    const name = places.sort((one, other) => one - other).join();
    let union = this.#unions.get(name);
    if (union === undefined) {
      const wanted = new Set(places.flatMap((place) => this.#deliveries[place]?.messages ?? []));
      union = new Delivery(
        this.#messages.filter((message) => wanted.has(message)),
        this.#frames,
      );
      if (this.#unions.size === MOST_UNIONS) this.#unions.clear();
      this.#unions.set(name, union);
    }
    return union;
  }
}

/** The inboxes that a message stands in; one to oneself stands in it once. */
export function inboxesOf({ sender, recipient }: Draft): readonly string[] {
  return sender === recipient ? [recipient, EVERYTHING] : [recipient, sender, EVERYTHING];
}
