import type { Inboxes } from '../log/inboxes.ts';
import type { EphemeralMessage, Message } from '../message.ts';
import { Commit, inboxesOf } from './commit.ts';
import { type Delivery, EphemeralFrames } from './delivery.ts';
import { DeliveryCounters } from '../metrics/counters/delivery-counters.ts';
import type { FairScheduler } from '../fair-scheduler.ts';
import type { Peers } from './peers.ts';

/** A subscriber to inboxes: the subscription of a stream, or a held poll. */
export interface Subscriber {
  readonly inboxes: Inboxes;
  /** Receives the messages of a commit for its inboxes: at least one. */
  deliver(delivery: Delivery): void;
  /** Receives an ephemeral message. @returns whether it was written */
  deliverEphemeral(frames: EphemeralFrames): boolean;
}

/**
 * The maximum number of ephemeral messages waiting to be dispatched, for example while a commit goes to many
 * subscribers. Further ones are dropped, as they are for a stream without room.
 */
const MAX_EPHEMERAL = 1000;

/** The subscribers of each inbox. Dispatches each commit to them. */
export class Hub {
  /** Counts of messages sent to subscribers since the start. */
  readonly deliveries = new DeliveryCounters();
  readonly #cursor: (id: number) => string;
  readonly #scheduler: Pick<FairScheduler, 'run'>;
  readonly #peers: Pick<Peers, 'dispatchEphemeral'> | undefined;
  readonly #subscribers = new Map<string, Set<Subscriber>>();
  /** The number of ephemeral messages being dispatched. */
  #ephemeral = 0;

  /**
   * @param cursor returns the cursor of an id
   * @param scheduler runs the dispatches in the order of the calls
   * @param peers relays ephemeral messages to other nodes; missing if this is the only node
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

  /** Adds a subscriber, which gets every later commit. Does nothing if it was already added. */
  add(subscriber: Subscriber): void {
    for (const address of subscriber.inboxes) {
      const subscribers = this.#subscribers.get(address);
      if (subscribers === undefined) this.#subscribers.set(address, new Set([subscriber]));
      else subscribers.add(subscriber);
    }
  }

  /** Removes a subscriber, which then gets nothing more. Does nothing if it is unknown. */
  remove(subscriber: Subscriber): void {
    for (const address of subscriber.inboxes) {
      const subscribers = this.#subscribers.get(address);
      if (subscribers?.delete(subscriber) === true && subscribers.size === 0)
        this.#subscribers.delete(address);
    }
  }

  /**
   * Dispatches the messages of a commit to their subscribers: to a few at once, to many in turns. A subscriber added
   * meanwhile finds them in the log.
   *
   * @param messages in id order
   * @returns a promise that settles when every subscriber has them
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
   * Dispatches an ephemeral message to the live streams of its recipient and its sender, on all nodes, after earlier
   * ephemeral messages.
   *
   * @param isCounted whether to wait a moment for other nodes to report how many streams they wrote it to
   * @returns the number of streams it was written to; 0 if too many such messages are waiting
   */
  async dispatchEphemeral(message: EphemeralMessage, isCounted = true): Promise<number> {
    this.deliveries.ephemeral++;
    if (this.#ephemeral >= MAX_EPHEMERAL) return 0;
    const elsewhere = this.#peers?.dispatchEphemeral(message, isCounted);
    const here = await this.dispatchEphemeralHere(message);
    return elsewhere === undefined ? here : here + (await elsewhere);
  }

  /**
   * Dispatches an ephemeral message to the live streams of this node, after everything dispatched here before it.
   *
   * @returns the number of streams it was written to; 0 if too many such messages are waiting
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

  /** Visits each subscriber of any of these inboxes once, one per step. */
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
