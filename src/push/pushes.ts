import type { Logger } from 'pino';
import type { Turns } from '../hub/turns.ts';
import type { MessageLog } from '../log/message-log.ts';
import type { NewPushSubscription, PushSubscription } from '../log/push-store.ts';
import { type Message, MESSAGE_TYPE, READ_TYPE } from '../message.ts';
import { Lane } from './lane.ts';
import { PushIndex } from './push-index.ts';
import { PushJournal } from './push-journal.ts';
import type { PushSender } from './push-sender.ts';
import { WakeTimes } from './wake-times.ts';

/** So many devices of one reader are notified of one recipient's messages: past it the oldest goes. */
const MOST_DEVICES = 50;

export interface PushesParts {
  readonly log: MessageLog;
  readonly sender: PushSender;
  readonly turns: Turns;
  readonly logger: Logger;
  /** Milliseconds since the Unix epoch, now. */
  readonly now: () => number;
  readonly delaySeconds: number;
}

/**
 * Notifies devices that have no page open (Web Push). What is due is derived from the log for each subscription; here it
 * is decided when to look: at the start, when a message is old enough, and when something was read.
 */
export class Pushes {
  readonly #parts: PushesParts;
  readonly #delay: number;
  readonly #journal: PushJournal;
  readonly #index = new PushIndex();
  /** Lanes that are at work, or wait for another try. */
  readonly #lanes = new Map<number, Lane>();
  /** When the devices of a recipient are looked at: one time for all of them, and for all messages that wait. */
  readonly #times = new WakeTimes((recipient) => {
    for (const { id } of this.#index.ofRecipient(recipient) ?? []) this.#look(id);
  });
  #ended = false;

  /** Looks once at each subscription, and from then on at what is committed. */
  constructor(parts: PushesParts) {
    this.#parts = parts;
    this.#delay = parts.delaySeconds * 1000;
    const { log, logger } = parts;
    this.#journal = new PushJournal(log.pushes, logger);
    for (const address of log.pushes.addresses()) this.#index.add(address);
    log.onCommit((messages) => this.#committed(messages));
    for (const id of this.#index.ids) this.#look(id);
  }

  /** How many subscriptions there are. */
  get subscriptions(): number {
    return this.#index.size;
  }

  /** How many subscriptions wait to be served: for others to their push service, or for another try. */
  get waiting(): number {
    let waiting = this.#parts.sender.waiting;
    for (const lane of this.#lanes.values()) if (lane.isWaiting) waiting++;
    return waiting;
  }

  /**
   * Has a device notified from now on; one that is known goes on where it was.
   *
   * @throws {LogUnavailable} where that cannot be stored
   */
  async subscribe(subscription: NewPushSubscription): Promise<{ stored: PushSubscription; isNew: boolean }> {
    const { pushes } = this.#parts.log;
    const [change] = await pushes.apply([{ kind: 'subscribe', subscription, most: MOST_DEVICES }]);
    if (change?.stored === undefined) throw new Error('a subscription was not stored');
    this.#index.add(change.stored);
    // For what was published since it was stored.
    this.#times.plan(subscription.recipient, this.#delay);
    this.#forget(change.removed);
    return { stored: change.stored, isNew: change.isNew };
  }

  /**
   * Has a device notified no more: of one recipient's messages, or of anything.
   *
   * @throws {LogUnavailable} where that cannot be stored
   */
  async unsubscribe(endpoint: string, recipient?: string): Promise<void> {
    const [change] = await this.#parts.log.pushes.apply([{ kind: 'unsubscribe', endpoint, recipient }]);
    this.#forget(change?.removed ?? []);
  }

  /** Ends: what is under way has the time to come through; the rest is derived again at the next start. */
  async close(milliseconds: number): Promise<void> {
    this.#ended = true;
    for (const lane of this.#lanes.values()) lane.stop();
    await this.#parts.sender.close(milliseconds);
    await this.#journal.close();
  }

  #committed(messages: readonly Message[]): void {
    if (this.#index.size === 0) return;
    for (const { type, sender, recipient } of messages) {
      if (type === MESSAGE_TYPE) {
        if (this.#index.ofRecipient(recipient) !== undefined) this.#times.plan(recipient, this.#delay);
      } else if (type === READ_TYPE) {
        for (const address of this.#index.ofReader(sender) ?? []) {
          if (address.recipient === sender || address.recipient === recipient) this.#look(address.id);
        }
      }
    }
  }

  #look(id: number): void {
    if (this.#ended) return;
    let lane = this.#lanes.get(id);
    if (lane === undefined) {
      lane = new Lane(
        id,
        { ...this.#parts, journal: this.#journal, delay: this.#delay },
        {
          onLater: (recipient, milliseconds) => this.#times.plan(recipient, milliseconds),
          onGone: (endpoint) => this.unsubscribe(endpoint),
          onIdle: () => void this.#lanes.delete(id),
        },
      );
      this.#lanes.set(id, lane);
    }
    lane.wake();
  }

  #forget(ids: readonly number[]): void {
    for (const id of ids) {
      this.#index.delete(id);
      const lane = this.#lanes.get(id);
      if (lane?.isWaiting !== true) continue;
      lane.stop();
      this.#lanes.delete(id);
    }
  }
}
