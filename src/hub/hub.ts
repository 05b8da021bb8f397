import type { Inboxes } from '../log/store.ts';
import type { Draft, Message } from '../message.ts';
import { Commit, inboxesOf } from './commit.ts';
import { type Delivery, EphemeralFrames } from './delivery.ts';
import { Traffic } from './traffic.ts';
import type { Turns } from './turns.ts';

/** Something that follows inboxes: a stream's subscription, or a held poll. */
export interface Follower {
  readonly inboxes: Inboxes;
  /** Gets what a commit has for its inboxes: at least one message. */
  deliver(delivery: Delivery): void;
  /** Gets a message that is not stored. @returns whether it was taken */
  deliverEphemeral(frames: EphemeralFrames): boolean;
}

/**
 * So many messages that are not stored may wait to be handed on: while a commit goes to many, say. They are let go past
 * it, as they are for a stream without room.
 */
const MOST_EPHEMERAL = 1000;

/** Who follows which inbox, and what each commit has for them. */
export class Hub {
  /** What went to followers since the start. */
  readonly traffic = new Traffic();
  readonly #cursor: (id: number) => string;
  readonly #turns: Pick<Turns, 'run'>;
  readonly #followers = new Map<string, Set<Follower>>();
  /** Messages that are not stored, on their way. */
  #ephemeral = 0;

  /**
   * @param cursor the cursor of an id
   * @param turns where what takes long is done: in the order in which it was handed on
   */
  constructor(cursor: (id: number) => string, turns: Pick<Turns, 'run'>) {
    this.#cursor = cursor;
    this.#turns = turns;
  }

  /** From now on the follower gets what is committed. Adding it again changes nothing. */
  add(follower: Follower): void {
    for (const address of follower.inboxes) {
      const followers = this.#followers.get(address);
      if (followers === undefined) this.#followers.set(address, new Set([follower]));
      else followers.add(follower);
    }
  }

  /** The follower gets nothing more. Nothing is done if it is not known. */
  remove(follower: Follower): void {
    for (const address of follower.inboxes) {
      const followers = this.#followers.get(address);
      if (followers?.delete(follower) === true && followers.size === 0) this.#followers.delete(address);
    }
  }

  /**
   * Hands a commit's messages, in id order, to those who follow them: to some at once, to many in turns. A follower that
   * is added meanwhile finds them in the log.
   *
   * @returns settles when all have them
   */
  dispatch(messages: readonly Message[]): Promise<void> {
    const commit = new Commit(messages, this.#cursor, (address) => this.#followers.has(address));
    return this.#turns.run(
      this.#eachOf(commit.inboxes, (follower) => {
        const delivery = commit.deliveryFor(
          follower.inboxes,
          (address) => this.#followers.get(address)?.has(follower) === true,
        );
        if (delivery !== undefined) follower.deliver(delivery);
      }),
    );
  }

  /**
   * Hands a message that is not stored to the live streams of its recipient and of its sender, behind what was handed on
   * before it.
   *
   * @returns how many took it; 0 if too many of its kind wait
   */
  async dispatchEphemeral(draft: Draft): Promise<number> {
    this.traffic.ephemeral++;
    if (this.#ephemeral >= MOST_EPHEMERAL) return 0;
    const frames = new EphemeralFrames(draft);
    let taken = 0;
    this.#ephemeral++;
    await this.#turns.run(
      this.#eachOf(inboxesOf(draft), (follower) => {
        if (follower.deliverEphemeral(frames)) taken++;
      }),
    );
    this.#ephemeral--;
    this.traffic.ephemeralDelivered += taken;
    return taken;
  }

  /** Comes to each follower of any of these inboxes once: a step for each. */
  *#eachOf(addresses: Iterable<string>, visit: (follower: Follower) => void): Generator {
    const visited = new Set<Follower>();
    for (const address of addresses) {
      for (const follower of this.#followers.get(address) ?? []) {
        const isNew = follower.inboxes.length === 1 || !visited.has(follower);
        if (isNew) {
          if (follower.inboxes.length > 1) visited.add(follower);
          visit(follower);
        }
        yield;
      }
    }
  }
}
