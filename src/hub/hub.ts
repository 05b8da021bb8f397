import type { Inboxes } from '../log/inboxes.ts';
import type { EphemeralMessage, Message } from '../message.ts';
import { Commit, inboxesOf } from './commit.ts';
import { type Delivery, EphemeralFrames } from './delivery.ts';
import { DeliveryCounters } from '../metrics/counters/delivery-counters.ts';
import type { FairScheduler } from '../fair-scheduler.ts';
import type { Peers } from './peers.ts';

/** A follower of inboxes: the subscription of a stream, or a held poll. */
export interface Subscriber {
  readonly inboxes: Inboxes;
  /** Takes the messages of a commit for its inboxes: at least one. */
  deliver(delivery: Delivery): void;
  /** Takes a message that is not stored. @returns whether it was written */
  deliverEphemeral(frames: EphemeralFrames): boolean;
}

/**
 * How many messages that are not stored may wait to be dispatched, for example while a commit goes to many subscribers.
 * Further ones are dropped, as they are for a stream without room.
 */
const MAX_EPHEMERAL = 1000;

/** The subscribers of each inbox. It dispatches each commit to them. */
export class Hub {
  /** The messages that went to subscribers since the start. */
  readonly deliveries = new DeliveryCounters();
  readonly #cursor: (id: number) => string;
  readonly #scheduler: Pick<FairScheduler, 'run'>;
  readonly #peers: Pick<Peers, 'dispatchEphemeral'> | undefined;
  readonly #subscribers = new Map<string, Set<Subscriber>>();
  /** How many messages that are not stored are being dispatched. */
  #ephemeral = 0;

  /**
   * @param cursor returns the cursor of an id
   * @param scheduler runs the dispatches in the order of the calls
   * @param peers brings messages that are not stored to other nodes; missing if this is the only one
   */
  constructor(
    cursor: (id: number) => string,
    scheduler: Pick<FairScheduler, 'run'>,
    peers?: Pick<Peers, 'dispatchEphemeral'>,
  ) {
    this.#cursor = cursor;
    this.#scheduler = scheduler;
    this.#peers = peers;
  }

  /** Adds a subscriber, which gets every later commit. Does nothing if it was added already. */
  add(subscriber: Subscriber): void {
    for (const address of subscriber.inboxes) {
      const subscribers = this.#subscribers.get(address);
      if (subscribers === undefined) this.#subscribers.set(address, new Set([subscriber]));
      else subscribers.add(subscriber);
    }
  }

  /** Removes a subscriber, which gets nothing more. Does nothing if it is not known. */
  remove(subscriber: Subscriber): void {
    for (const address of subscriber.inboxes) {
      const subscribers = this.#subscribers.get(address);
      if (subscribers?.delete(subscriber) === true && subscribers.size === 0)
        this.#subscribers.delete(address);
    }
  }

  /**
   * Dispatches the messages of a commit to their subscribers: to a few at once, to many in turns. A subscriber that is
   * added meanwhile finds them in the log.
   *
   * @param messages in id order
   * @returns settles when every subscriber has them
   */
  dispatch(messages: readonly Message[]): Promise<void> {
    const commit = new Commit(messages, this.#cursor, (address) => this.#subscribers.has(address));
    return this.#scheduler.run(
      this.#eachOf(commit.inboxes, (subscriber) => {
        const delivery = commit.deliveryFor(
          subscriber.inboxes,
          (address) => this.#subscribers.get(address)?.has(subscriber) === true,
        );
        if (delivery !== undefined) subscriber.deliver(delivery);
      }),
    );
  }

  /**
   * Dispatches a message that is not stored to the live streams of its recipient and its sender, on all nodes, after
   * everything of its kind that was dispatched before it.
   *
   * @param isCounted whether to wait for other nodes, for a moment, to say how many streams they wrote it to
   * @returns how many streams it was written to; 0 if too many such messages wait
   */
  async dispatchEphemeral(message: EphemeralMessage, isCounted = true): Promise<number> {
    this.deliveries.ephemeral++;
    if (this.#ephemeral >= MAX_EPHEMERAL) return 0;
    const elsewhere = this.#peers?.dispatchEphemeral(message, isCounted);
    const here = await this.dispatchEphemeralHere(message);
    return elsewhere === undefined ? here : here + (await elsewhere);
  }

  /**
   * Dispatches a message that is not stored to the live streams of this node, after everything that was dispatched here
   * before it.
   *
   * @returns how many streams it was written to; 0 if too many such messages wait
   */
  async dispatchEphemeralHere(message: EphemeralMessage): Promise<number> {
    if (this.#ephemeral >= MAX_EPHEMERAL) return 0;
    const frames = new EphemeralFrames(message);
    let delivered = 0;
    this.#ephemeral++;
    await this.#scheduler.run(
      this.#eachOf(inboxesOf(message), (subscriber) => {
        if (subscriber.deliverEphemeral(frames)) delivered++;
      }),
    );
    this.#ephemeral--;
    this.deliveries.ephemeralDelivered += delivered;
    return delivered;
  }

  /** Visits each subscriber of any of these inboxes once, in one step for each. */
  *#eachOf(addresses: Iterable<string>, visit: (subscriber: Subscriber) => void): Generator {
    const visited = new Set<Subscriber>();
    for (const address of addresses) {
      for (const subscriber of this.#subscribers.get(address) ?? []) {
        const isNew = subscriber.inboxes.length === 1 || !visited.has(subscriber);
        if (isNew) {
          if (subscriber.inboxes.length > 1) visited.add(subscriber);
          visit(subscriber);
        }
        yield;
      }
    }
  }
}
