import { EVERYTHING } from '../address.ts';
import type { EphemeralMessage, Message } from '../message.ts';
import { CommitFrames, Delivery } from './delivery.ts';

/**
 * The maximum number of combinations of inboxes cached for one commit. Each holds as many bytes as a socket takes at
 * once. Beyond it, combinations are built again when they are needed.
 */
const MAX_UNIONS = 32;

/** The messages of one commit, grouped by followed inbox. */
export class Commit {
  readonly #messages: readonly Message[];
  readonly #frames: CommitFrames;
  /** The index of each inbox in `#deliveries`. */
  readonly #places = new Map<string, number>();
  readonly #deliveries: Delivery[] = [];
  readonly #unions = new Map<string, Delivery>();

  /**
   * @param messages in id order
   * @param cursor returns the cursor of an id
   * @param isFollowed returns whether an inbox is followed now
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

  /** The followed inboxes that got messages. */
  get inboxes(): Iterable<string> {
    return this.#places.keys();
  }

  /**
   * Returns the messages for a subscriber, in id order and without duplicates. Subscribers whose inboxes got the same
   * messages share one delivery, so it is encoded once.
   *
   * @param inboxes the inboxes that the subscriber follows
   * @param follows returns whether an address is one of them
   * @returns `undefined` if there are no messages for it
   */
  deliveryFor(inboxes: readonly string[], follows: (address: string) => boolean): Delivery | undefined {
    const places: number[] = [];
    // Loop over the shorter list: a commit to one room has two inboxes, a subscriber may have a hundred.
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
      if (this.#unions.size === MAX_UNIONS) this.#unions.clear();
      this.#unions.set(name, union);
    }
    return union;
  }
}

/** Returns the inboxes of a message: one fewer if the sender is also the recipient. */
export function inboxesOf({ sender, recipient }: EphemeralMessage): readonly string[] {
  return sender === recipient ? [recipient, EVERYTHING] : [recipient, sender, EVERYTHING];
}
