import type { FairScheduler } from '../fair-scheduler.ts';
import type { MessageLog } from '../log/message-log.ts';
import type { PushStore } from '../log/push-store.ts';
import { type Due, findDue, peerOf } from './due.ts';
import { messagePayload, readPayload } from './payload.ts';
import type { PushJournal } from './push-journal.ts';
import type { PreparedPush, PushSender, SendOutcome } from './push-sender.ts';
import { waitBeforeRetry } from './retry.ts';
import { runAsTask } from './run-as-task.ts';

/** The parts that all workers share, in one object: there may be very many workers. */
export interface PushWorkerParts {
  readonly log: MessageLog;
  readonly pushStore: PushStore;
  readonly sender: PushSender;
  readonly journal: PushJournal;
  readonly scheduler: FairScheduler;
  /** Returns milliseconds since the Unix epoch. */
  readonly now: () => number;
  /** Milliseconds that a message stays unread before it is due. */
  readonly delay: number;
}

/** The events of a worker. */
export interface PushWorkerEvents {
  /** A message to this recipient is due in this many milliseconds. */
  onDueLater(recipient: string, milliseconds: number): void;
  /** The device is gone: its subscriptions must be removed. */
  onGone(endpoint: string): Promise<void>;
  /** The log failed: the device waits for a retry. */
  onFailure(error: unknown): void;
  /** Nothing is left to do for the device. */
  onIdle(endpoint: string): void;
}

/** The result of a round: `done`, everything is sent; `stopped`, the service is shutting down. */
type RoundResult = 'done' | 'stopped' | Extract<SendOutcome, { kind: 'failed' }>;

/** The result for one subscription: `again`, more may be due. */
type Result = RoundResult | 'again';

/**
 * The worker of one device. For each of its subscriptions in turn, it finds the due notifications, sends them one by one
 * and records them, until none is due. It keeps no queue of messages: unsent ones are found again, and waiting ones are
 * known only by their ids.
 */
export class PushWorker {
  readonly #endpoint: string;
  readonly #parts: PushWorkerParts;
  readonly #events: PushWorkerEvents;
  /** The ids of the subscriptions to process. */
  readonly #pending = new Set<number>();
  #state: 'idle' | 'working' | 'waiting' = 'idle';
  #failures = 0;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(endpoint: string, parts: PushWorkerParts, events: PushWorkerEvents) {
    this.#endpoint = endpoint;
    this.#parts = parts;
    this.#events = events;
  }

  /** Whether it waits for a retry. */
  get isWaiting(): boolean {
    return this.#state === 'waiting';
  }

  /** Processes a subscription now, or at the next retry if it waits for one. A worker that was stopped works again. */
  wake(id: number): void {
    this.#stopped = false;
    this.#pending.add(id);
    if (this.#state === 'idle') void this.#work();
  }

  /** Drops a subscription that is gone. */
  forget(id: number): void {
    this.#pending.delete(id);
    if (this.#state !== 'waiting' || this.#pending.size > 0) return;
    clearTimeout(this.#timer);
    this.#rest();
  }

  /** Stops: the service is shutting down, or another node sends. Sent notifications are still recorded, then it is idle. */
  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    if (this.#state === 'waiting') this.#rest();
  }

  async #work(): Promise<void> {
    this.#state = 'working';
    const isStopped = (): boolean => this.#stopped;
    while (this.#pending.size > 0 && !isStopped()) {
      const result = await this.#round();
      if (isStopped()) break;
      if (result === 'done' || result === 'stopped') continue;
      this.#retryLater(result.retryAfter);
      return;
    }
    this.#rest();
  }

  #rest(): void {
    this.#state = 'idle';
    this.#events.onIdle(this.#endpoint);
  }

  /** Processes the pending subscriptions, one after the other. Those that are not done stay pending. */
  async #round(): Promise<RoundResult> {
    const ids = [...this.#pending];
    this.#pending.clear();
    const writes: Promise<void>[] = [];
    let result: Result = 'done';
    for (const [index, id] of ids.entries()) {
      result = await this.#tryProcess(id, writes);
      if (result === 'again') this.#pending.add(id);
      if (result === 'done' || result === 'again') continue;
      for (const left of ids.slice(index)) this.#pending.add(left);
      break;
    }
    // Sent notifications would be found again until they are recorded.
    await Promise.all(writes);
    return result === 'again' ? 'done' : result;
  }

  #retryLater(retryAfter: number | undefined): void {
    this.#state = 'waiting';
    this.#failures++;
    const wait = waitBeforeRetry(this.#failures, retryAfter, Math.random());
    this.#timer = setTimeout(() => void this.#work(), wait).unref();
  }

  async #tryProcess(id: number, writes: Promise<void>[]): Promise<Result> {
    try {
      return await this.#process(id, writes);
    } catch (error) {
      if (!this.#stopped) this.#events.onFailure(error);
      return { kind: 'failed', retryAfter: undefined };
    }
  }

  /** @param writes gets a promise for each entry of the journal */
  async #process(id: number, writes: Promise<void>[]): Promise<Result> {
    const { journal, scheduler } = this.#parts;
    const due = await runAsTask(scheduler, this.#findDue(id));
    if (due === undefined) return 'done';
    const result = await this.#send(id, due, writes);
    if (result !== 'done') return result;
    if (due.through !== undefined) writes.push(journal.write({ kind: 'through', id, through: due.through }));
    return due.more ? 'again' : 'done';
  }

  *#findDue(id: number): Generator<undefined, Due | undefined> {
    const { log, pushStore, now, delay } = this.#parts;
    const subscription = pushStore.subscription(id);
    if (subscription === undefined) return undefined;
    const due = yield* findDue(pushStore, subscription, { head: log.head, now: now(), delay });
    if (due.nextIn !== undefined) this.#events.onDueLater(subscription.recipient, due.nextIn);
    return due;
  }

  async #send(id: number, { covered, messages }: Due, writes: Promise<void>[]): Promise<Result> {
    const { sender, journal } = this.#parts;
    let again = false;
    for (const [index, messageId] of [...covered, ...messages].entries()) {
      const isRead = index < covered.length;
      let peer: string | undefined;
      const outcome = await sender.send(this.#endpoint, async () => {
        const prepared = await (isRead ? this.#readNotice(id, messageId) : this.#notification(id, messageId));
        if (typeof prepared === 'object') peer = prepared.push.peer;
        return prepared;
      });
      if (outcome.kind === 'failed') return outcome;
      if (outcome.kind === 'dropped') return 'stopped';
      if (outcome.kind === 'gone') {
        await this.#events.onGone(this.#endpoint);
        return 'done';
      }
      if (outcome.kind === 'unneeded') again = true;
      else this.#failures = 0;
      // A refused notification is recorded as well: it must not be found again.
      const kind = isRead ? 'closed' : 'notified';
      if (peer !== undefined) writes.push(journal.write({ kind, id, peer, messageId }));
    }
    // A message that is no longer needed may have hidden one that is.
    return again ? 'again' : 'done';
  }

  /** Prepares the notification of a message; `undefined` if it was read or has expired. */
  async #notification(id: number, messageId: number): Promise<PreparedPush> {
    const { log, pushStore, scheduler, journal } = this.#parts;
    if (journal.isFull) return 'later';
    const unread = await runAsTask(scheduler, pushStore.unread(this.#endpoint));
    const subscription = pushStore.subscription(id);
    const message = log.message(messageId);
    if (subscription === undefined || message === undefined) return undefined;
    const peer = peerOf(subscription, message.sender);
    if (pushStore.readThrough(subscription.reader, peer) >= messageId) return undefined;
    const push = {
      payload: messagePayload(message, { peer, cursor: log.cursor(messageId), unread }),
      peer,
      expiresAt: message.expiresAt,
      // RFC 8030 §5.3 suggests `normal` for chats, but Android delays those while the phone lies still.
      urgency: 'high',
    } as const;
    return { subscription, push };
  }

  /** Prepares the notice that a conversation was read. It replaces a notification that has not been fetched yet. */
  async #readNotice(id: number, messageId: number): Promise<PreparedPush> {
    const { pushStore, scheduler, journal } = this.#parts;
    if (journal.isFull) return 'later';
    const unread = await runAsTask(scheduler, pushStore.unread(this.#endpoint));
    const subscription = pushStore.subscription(id);
    const peer = pushStore.peerOfNotice(id, messageId);
    if (subscription === undefined || peer === undefined) return undefined;
    const { recipient, reader } = subscription;
    const through = pushStore.readThrough(reader, peer);
    const payload = readPayload({ recipient, peer, through, unread });
    return { subscription, push: { payload, peer, expiresAt: null, urgency: 'normal' } };
  }
}
