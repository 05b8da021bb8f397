import type { Logger } from 'pino';
import type { Turns } from '../hub/turns.ts';
import type { MessageLog } from '../log/message-log.ts';
import type { NewPushSubscription, PushBounds, PushPlace, PushSubscription } from '../log/push-store.ts';
import { counts, type Message, READ_TYPE } from '../message.ts';
import { Lane, type LaneEvents, type LaneParts } from './lane.ts';
import { PushIndex } from './push-index.ts';
import { PushJournal } from './push-journal.ts';
import type { PushSender } from './push-sender.ts';
import { WakeTimes } from './wake-times.ts';
import { Walks } from './walks.ts';

/**
 * A stream follows 100 inboxes, so a device does as well. A client has room for as many devices as a reader may have,
 * each with as many inboxes as a device may follow.
 */
const BOUNDS: PushBounds = { devices: 50, recipients: 100, ofClient: 5000 };

/** Subscriptions in all. Each takes 1 KB on the disk, and of memory 3 KB while its device waits for its push service. */
const MOST_IN_ALL = 200_000;

/** Subscriptions of one device that are taken away in one transaction. */
const REMOVE_AT_ONCE = 500;

const LOG_FAILURE_MILLISECONDS = 60_000;

export interface PushesParts {
  readonly log: MessageLog;
  readonly sender: PushSender;
  readonly turns: Turns;
  readonly logger: Logger;
  /** Milliseconds since the Unix epoch, now. */
  readonly now: () => number;
  readonly delaySeconds: number;
}

/** Why a subscription is not taken: the bound that it would exceed. */
export type SubscriptionRefused = 'recipients' | 'ofClient' | 'inAll';

/**
 * Notifies devices that have no page open (Web Push). What is due is derived from the log for each subscription; here it
 * is decided when to look: at the start, when a message is old enough, and when something was read.
 */
export class Pushes {
  readonly #parts: PushesParts;
  readonly #delay: number;
  readonly #journal: PushJournal;
  readonly #index = new PushIndex();
  /** By endpoint, those that are at work or wait for another try. */
  readonly #lanes = new Map<string, Lane>();
  readonly #laneParts: LaneParts;
  readonly #laneEvents: LaneEvents = {
    onLater: (recipient, milliseconds) => this.#times.plan(recipient, milliseconds),
    onGone: (endpoint) => this.unsubscribe(endpoint),
    onFailure: (error) => this.#failed(error),
    onIdle: (endpoint) => void this.#lanes.delete(endpoint),
  };
  readonly #walks: Walks;
  /** When the devices of a recipient are looked at: one time for all of them, and for all messages that wait. */
  readonly #times = new WakeTimes((recipient) => {
    const { pushes } = this.#parts.log;
    this.#walks.go(recipient, (after, limit) => pushes.ofRecipient(recipient, after, limit));
  });
  /** When a failure of the log was logged last, on the clock of `performance.now()`. */
  #loggedFailure = -Infinity;
  #ended = false;

  /** Looks once at each subscription, and from then on at what is committed. */
  constructor(parts: PushesParts) {
    this.#parts = parts;
    this.#delay = parts.delaySeconds * 1000;
    const { log, logger, turns } = parts;
    this.#journal = new PushJournal(log.pushes, logger);
    this.#laneParts = { ...parts, journal: this.#journal, delay: this.#delay };
    this.#walks = new Walks(turns, logger, (place) => this.#look(place));
    for (const { recipient, count } of log.pushes.recipients()) this.#index.add(recipient, count);
    log.onCommit((messages) => this.#committed(messages));
    if (this.#index.size > 0) this.#walks.go('', (after, limit) => log.pushes.all(after, limit));
  }

  /** How many subscriptions there are. */
  get subscriptions(): number {
    return this.#index.size;
  }

  /** How many devices wait to be served: for others to their push service, or for another try. */
  get waiting(): number {
    let waiting = this.#parts.sender.waiting;
    for (const lane of this.#lanes.values()) if (lane.isWaiting) waiting++;
    return waiting;
  }

  /**
   * Has a device notified from now on; one that is known goes on where it was.
   *
   * @returns what is stored, or why it is not taken
   * @throws {LogUnavailable} if it cannot be stored
   */
  async subscribe(
    subscription: NewPushSubscription,
  ): Promise<{ stored: PushSubscription; isNew: boolean } | SubscriptionRefused> {
    const { pushes } = this.#parts.log;
    const { recipient, endpoint } = subscription;
    if (this.#index.size >= MOST_IN_ALL && !pushes.has(recipient, endpoint)) return 'inAll';
    const [change] = await pushes.apply([{ kind: 'subscribe', subscription, bounds: BOUNDS }]);
    if (change?.refused !== undefined) return change.refused;
    if (change?.stored === undefined) throw new Error('a subscription was not stored');
    if (change.isNew) this.#index.add(recipient, 1);
    // For what was published since it was stored.
    this.#times.plan(recipient, this.#delay);
    this.#forget(change.removed);
    return { stored: change.stored, isNew: change.isNew };
  }

  /**
   * Has a device notified no more: of one recipient's messages, or of anything.
   *
   * @throws {LogUnavailable} if that cannot be stored
   */
  async unsubscribe(endpoint: string, recipient?: string): Promise<void> {
    const entry = { kind: 'unsubscribe', endpoint, recipient, limit: REMOVE_AT_ONCE } as const;
    for (let more = true; more;) {
      const [change] = await this.#parts.log.pushes.apply([entry]);
      this.#forget(change?.removed ?? []);
      more = change?.removed.length === REMOVE_AT_ONCE;
    }
  }

  /**
   * Takes one subscription away.
   *
   * @returns whether there was one
   * @throws {LogUnavailable} if that cannot be stored
   */
  async remove(id: number): Promise<boolean> {
    const [change] = await this.#parts.log.pushes.apply([{ kind: 'remove', id }]);
    const removed = change?.removed ?? [];
    this.#forget(removed);
    return removed.length > 0;
  }

  /** Ends: what is under way has the time to come through; the rest is derived again at the next start. */
  async close(milliseconds: number): Promise<void> {
    this.#ended = true;
    this.#walks.end();
    for (const lane of this.#lanes.values()) lane.stop();
    await this.#parts.sender.close(milliseconds);
    await this.#journal.close();
  }

  #committed(messages: readonly Message[]): void {
    if (this.#index.size === 0) return;
    for (const message of messages) {
      const { type, sender, recipient } = message;
      if (counts(message)) {
        if (this.#index.has(recipient)) this.#times.plan(recipient, this.#delay);
      } else if (type === READ_TYPE) {
        this.#wasRead(sender, recipient);
        if (recipient !== sender) this.#wasRead(sender, sender);
      }
    }
  }

  /** Looks at the devices of a reader that follow an inbox: they may show what was read. */
  #wasRead(reader: string, recipient: string): void {
    if (!this.#index.has(recipient)) return;
    const { pushes } = this.#parts.log;
    // No address has a line break in it.
    this.#walks.go(`${recipient}\n${reader}`, (after, limit) =>
      pushes.ofReader(reader, recipient, after, limit),
    );
  }

  #look({ id, endpoint }: PushPlace): void {
    if (this.#ended) return;
    let lane = this.#lanes.get(endpoint);
    if (lane === undefined) {
      lane = new Lane(endpoint, this.#laneParts, this.#laneEvents);
      this.#lanes.set(endpoint, lane);
    }
    lane.wake(id);
  }

  /** Logs it once a minute: it may be of every device. */
  #failed(error: unknown): void {
    const now = performance.now();
    if (now < this.#loggedFailure + LOG_FAILURE_MILLISECONDS) return;
    this.#loggedFailure = now;
    this.#parts.logger.error({ err: error }, 'notifications of devices wait: the log fails');
  }

  #forget(removed: readonly PushPlace[]): void {
    for (const { id, recipient, endpoint } of removed) {
      this.#index.delete(recipient);
      this.#lanes.get(endpoint)?.forget(id);
    }
  }
}
