import type { Logger } from 'pino';
import type { FairScheduler } from '../fair-scheduler.ts';
import { LogUnavailable, type MessageLog } from '../log/message-log.ts';
import type {
  NewPushSubscription,
  PushBounds,
  PushOutcome,
  PushChange,
  SubscriptionRef,
  PushStore,
  PushSubscription,
} from '../log/push-store.ts';
import { counts, type Message, READ_TYPE } from '../message.ts';
import { PushWorker, type PushWorkerEvents, type PushWorkerParts } from './push-worker.ts';
import { PushJournal } from './push-journal.ts';
import type { PushSender } from './push-sender.ts';
import { SubscriptionCounts } from './subscription-counts.ts';
import { SubscriptionScanner } from './scanner.ts';
import { WakeTimers } from './wake-timers.ts';

/**
 * Bounds on subscriptions. A device may follow 100 inboxes, as a stream may. A client may have as many devices as a
 * reader, each with as many inboxes as allowed.
 */
export const BOUNDS: PushBounds = { devices: 50, recipients: 100, perClient: 5000 };

/** Subscriptions in total. Each takes 1 KB on disk, and 3 KB in memory while its device waits for its push service. */
export const MAX_SUBSCRIPTIONS = 200_000;

/** Subscriptions of one device that are removed in one transaction. */
const REMOVE_LIMIT = 500;

/** Failures of the log are logged at most this often: each may concern every device. */
const FAILURE_LINE_MILLISECONDS = 60_000;

export interface NotifierParts {
  readonly log: MessageLog;
  readonly pushStore: PushStore;
  readonly sender: PushSender;
  readonly scheduler: FairScheduler;
  readonly logger: Logger;
  /** Returns milliseconds since the Unix epoch. */
  readonly now: () => number;
  readonly delaySeconds: number;
  /** In a cluster, the changes that all nodes make. Nothing is sent before `resume` then. */
  readonly changes?: PushChanges | undefined;
}

/** The changes of subscriptions in a cluster, in their order. */
interface PushChanges {
  /** Calls `listener` with the outcomes of each entry, or without them if they are unknown. */
  onPushed(listener: (outcomes?: readonly PushOutcome[]) => void): void;
}

/** The bound that a refused subscription would exceed. */
export type SubscriptionRefused = 'recipients' | 'perClient' | 'total';

/**
 * The sender of notifications to devices without an open page (Web Push). Due notifications of a subscription are
 * derived from the log. This class decides when to look for them: at the start, when a message is old enough, and after
 * a read marker.
 */
export class Notifier {
  readonly #parts: NotifierParts;
  readonly #delay: number;
  readonly #journal: PushJournal;
  #counts = new SubscriptionCounts();
  /** Whether the rows may differ from the counts: a change that failed may be stored. */
  #mayMiscount = false;
  /** The workers that are busy or wait for a retry, by endpoint. */
  readonly #workers = new Map<string, PushWorker>();
  readonly #workerParts: PushWorkerParts;
  readonly #workerEvents: PushWorkerEvents = {
    onDueLater: (recipient, milliseconds) => this.#timers.set(recipient, milliseconds),
    onGone: (endpoint) => this.unsubscribe(endpoint),
    onFailure: (error) => this.#logFailure(error),
    onIdle: (endpoint) => void this.#workers.delete(endpoint),
  };
  #scanner: SubscriptionScanner;
  /** Timers that wake the devices of a recipient: one for all its devices and messages. */
  #timers = this.#newTimers();
  /** Whether this node sends notifications. */
  #sends = false;
  /** The time of the last line about a failure, by `performance.now()`. */
  #failureLoggedAt = -Infinity;
  #closed = false;

  constructor(parts: NotifierParts) {
    this.#parts = parts;
    this.#delay = parts.delaySeconds * 1000;
    const { pushStore, logger } = parts;
    this.#journal = new PushJournal(pushStore, logger);
    this.#workerParts = { ...parts, journal: this.#journal, delay: this.#delay };
    this.#scanner = this.#newScanner();
  }

  /** Counts the subscriptions, and starts to send; in a cluster only after `resume`. */
  start(): void {
    const { log, changes } = this.#parts;
    this.#countAll();
    log.onCommit((messages) => this.#committed(messages));
    changes?.onPushed((outcomes) => this.#changed(outcomes));
    if (changes === undefined) this.resume();
  }

  /** Wakes every device once, and from then on whenever messages are committed for it. Does nothing after `close`. */
  resume(): void {
    if (this.#sends || this.#closed) return;
    const { pushStore, sender } = this.#parts;
    this.#sends = true;
    sender.resume();
    this.#timers = this.#newTimers();
    this.#scanner = this.#newScanner();
    if (this.#counts.total > 0) this.#scanner.scan('', (after, limit) => pushStore.all(after, limit));
  }

  /** Sends nothing until `resume`, since another node does. Sent notifications are still recorded. */
  pause(): void {
    this.#sends = false;
    this.#scanner.stop();
    this.#timers.stop();
    for (const worker of this.#workers.values()) worker.stop();
    this.#parts.sender.pause();
  }

  /** The number of subscriptions. */
  get subscriptions(): number {
    return this.#counts.total;
  }

  /** The number of devices that wait for other requests to their push service, or for a retry. */
  get waiting(): number {
    let waiting = this.#parts.sender.waiting;
    for (const worker of this.#workers.values()) if (worker.isWaiting) waiting++;
    return waiting;
  }

  /**
   * Subscribes a device from now on. A device that is subscribed already gets its new keys and misses nothing.
   *
   * @returns the stored subscription, or the bound that it would exceed
   * @throws {LogUnavailable} if it cannot be stored
   */
  async subscribe(
    subscription: NewPushSubscription,
  ): Promise<{ stored: PushSubscription; isNew: boolean } | SubscriptionRefused> {
    const { pushStore } = this.#parts;
    const { recipient, endpoint } = subscription;
    if (this.#counts.total >= MAX_SUBSCRIPTIONS && !pushStore.has(recipient, endpoint)) return 'total';
    const outcome = await this.#change({ kind: 'subscribe', subscription, bounds: BOUNDS });
    if (outcome?.refused !== undefined) return outcome.refused;
    if (outcome?.stored === undefined) throw new Error('a subscription was not stored');
    // This is for messages that were published after the subscription was stored.
    if (this.#sends) this.#timers.set(recipient, this.#delay);
    return { stored: outcome.stored, isNew: outcome.isNew };
  }

  /**
   * Unsubscribes a device from one recipient, or from all. Does nothing if it is not subscribed.
   *
   * @throws {LogUnavailable} if that cannot be stored
   */
  async unsubscribe(endpoint: string, recipient?: string): Promise<void> {
    const change = { kind: 'unsubscribe', endpoint, recipient, limit: REMOVE_LIMIT } as const;
    for (let more = true; more;) {
      const outcome = await this.#change(change);
      more = outcome?.removed.length === REMOVE_LIMIT;
    }
  }

  /**
   * Removes a subscription by its id.
   *
   * @returns whether there was one
   * @throws {LogUnavailable} if that cannot be stored
   */
  async remove(id: number): Promise<boolean> {
    const outcome = await this.#change({ kind: 'remove', id });
    return outcome !== undefined && outcome.removed.length > 0;
  }

  /** Stops, and waits this long for requests in flight to end. The next start derives unsent notifications again. */
  async close(milliseconds: number): Promise<void> {
    this.#closed = true;
    this.#scanner.stop();
    this.#timers.stop();
    for (const worker of this.#workers.values()) worker.stop();
    await this.#parts.sender.close(milliseconds);
    await this.#journal.close();
  }

  #committed(messages: readonly Message[]): void {
    if (!this.#sends || this.#counts.total === 0) return;
    for (const message of messages) {
      const { type, sender, recipient } = message;
      if (counts(message)) {
        if (this.#counts.has(recipient)) this.#timers.set(recipient, this.#delay);
      } else if (type === READ_TYPE) {
        this.#wakeReader(sender, recipient);
        if (recipient !== sender) this.#wakeReader(sender, sender);
      }
    }
  }

  /** Wakes the devices of a reader that follow an inbox: they may show notifications of read messages. */
  #wakeReader(reader: string, recipient: string): void {
    if (!this.#counts.has(recipient)) return;
    const { pushStore } = this.#parts;
    // No address has a line break in it.
    this.#scanner.scan(`${recipient}\n${reader}`, (after, limit) =>
      pushStore.ofReader(reader, recipient, after, limit),
    );
  }

  #wake({ id, endpoint }: SubscriptionRef): void {
    if (this.#closed || !this.#sends) return;
    let worker = this.#workers.get(endpoint);
    if (worker === undefined) {
      worker = new PushWorker(endpoint, this.#workerParts, this.#workerEvents);
      this.#workers.set(endpoint, worker);
    }
    worker.wake(id);
  }

  #logFailure(error: unknown): void {
    const now = performance.now();
    if (now < this.#failureLoggedAt + FAILURE_LINE_MILLISECONDS) return;
    this.#failureLoggedAt = now;
    this.#parts.logger.error({ err: error }, 'notifications are waiting: the log cannot be read or written');
  }

  /** Makes a change, and counts its outcome. @throws {LogUnavailable} if it cannot be stored */
  async #change(change: PushChange): Promise<PushOutcome | undefined> {
    const { pushStore, changes } = this.#parts;
    let outcome: PushOutcome | undefined;
    try {
      [outcome] = await pushStore.apply([change]);
    } catch (error) {
      this.#mayMiscount ||= error instanceof LogUnavailable && error.mayBeStored;
      throw error;
    }
    // In a cluster, the outcome has already arrived with those of other nodes.
    if (changes === undefined && outcome !== undefined) this.#count(outcome);
    if (this.#mayMiscount) this.#countAll();
    return outcome;
  }

  /** Applies the outcomes of changes by all nodes of a cluster. */
  #changed(outcomes: readonly PushOutcome[] | undefined): void {
    if (outcomes === undefined) this.#countAll();
    for (const outcome of outcomes ?? []) {
      this.#count(outcome);
      // This is for messages that were published on any node after the subscription was stored.
      if (this.#sends && outcome.stored !== undefined)
        this.#timers.set(outcome.stored.recipient, this.#delay);
    }
  }

  #count({ isNew, stored, removed }: PushOutcome): void {
    if (isNew && stored !== undefined) this.#counts.add(stored.recipient, 1);
    for (const { id, recipient, endpoint } of removed) {
      this.#counts.delete(recipient);
      this.#workers.get(endpoint)?.forget(id);
    }
  }

  #newTimers(): WakeTimers {
    return new WakeTimers((recipient) => {
      const { pushStore } = this.#parts;
      this.#scanner.scan(recipient, (after, limit) => pushStore.ofRecipient(recipient, after, limit));
    });
  }

  #newScanner(): SubscriptionScanner {
    const { scheduler, logger } = this.#parts;
    return new SubscriptionScanner(scheduler, logger, (subscription) => this.#wake(subscription));
  }

  /** Counts the subscriptions on disk. */
  #countAll(): void {
    const found = new SubscriptionCounts();
    for (const { recipient, count } of this.#parts.pushStore.recipients()) found.add(recipient, count);
    this.#counts = found;
    this.#mayMiscount = false;
  }
}
