import { EVERYTHING } from '../address.ts';
import type { Inboxes } from '../log/store.ts';
import type { Draft, Message } from '../message.ts';
import { CommitFrames, Delivery, EphemeralFrames } from './delivery.ts';
import { Traffic } from './traffic.ts';

/** Something that follows inboxes: a stream's subscription, or a held poll. */
export interface Follower {
  readonly inboxes: Inboxes;
  /** Gets what a commit has for its inboxes: a delivery for each that was touched, at least one. */
  deliver(deliveries: readonly Delivery[]): void;
  /** Gets a message that is not stored. @returns whether it was taken */
  deliverEphemeral(frames: EphemeralFrames): boolean;
}

/** Who follows which inbox, and what each commit has for them. */
export class Hub {
  /** What went to followers since the start. */
  readonly traffic = new Traffic();
  readonly #cursor: (id: number) => string;
  readonly #followers = new Map<string, Set<Follower>>();

  /** @param cursor the cursor of an id */
  constructor(cursor: (id: number) => string) {
    this.#cursor = cursor;
  }

  /** From now on the follower gets what is committed. Adding it again changes nothing. */
  add(follower: Follower): void {
    for (const address of follower.inboxes) {
      const followers = this.#followers.get(address);
      if (followers === undefined) this.#followers.set(address, new Set([follower]));
      else followers.add(follower);
    }
  }

  /** The follower gets nothing more. Nothing is done where it is not known. */
  remove(follower: Follower): void {
    for (const address of follower.inboxes) {
      const followers = this.#followers.get(address);
      if (followers?.delete(follower) === true && followers.size === 0) this.#followers.delete(address);
    }
  }

  /** Hands a commit's messages, in id order, to those who follow them. */
  dispatch(messages: readonly Message[]): void {
    const frames = new CommitFrames(this.#cursor);
    const deliveries = new Map<string, Delivery>();
    for (const message of messages) {
      for (const address of touchedBy(message)) {
        if (!this.#followers.has(address)) continue;
        let delivery = deliveries.get(address);
        if (delivery === undefined) deliveries.set(address, (delivery = new Delivery(frames)));
        delivery.messages.push(message);
      }
    }
    const touched = new Map<Follower, Delivery[]>();
    for (const [address, delivery] of deliveries) {
      // One list for all who are touched through this inbox alone, nearly always everybody.
      const alone = [delivery];
      for (const follower of this.#followers.get(address) ?? []) {
        const others = touched.get(follower);
        touched.set(follower, others === undefined ? alone : [...others, delivery]);
      }
    }
    for (const [follower, own] of touched) follower.deliver(own);
  }

  /**
   * Hands a message that is not stored to the live streams of its recipient and of its sender.
   *
   * @returns how many took it
   */
  dispatchEphemeral(draft: Draft): number {
    const touched = new Set<Follower>();
    for (const address of touchedBy(draft)) {
      for (const follower of this.#followers.get(address) ?? []) touched.add(follower);
    }
    const frames = new EphemeralFrames(draft);
    let taken = 0;
    for (const follower of touched) if (follower.deliverEphemeral(frames)) taken++;
    this.traffic.ephemeral++;
    this.traffic.ephemeralDelivered += taken;
    return taken;
  }
}

/** The inboxes that a message stands in; one to oneself stands in it once. */
function touchedBy({ sender, recipient }: Draft): readonly string[] {
  return sender === recipient ? [recipient, EVERYTHING] : [recipient, sender, EVERYTHING];
}
