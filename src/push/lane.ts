import type { Turns } from '../hub/turns.ts';
import type { MessageLog } from '../log/message-log.ts';
import { type Due, findDue, peerOf } from './due.ts';
import { inTurns } from './in-turns.ts';
import { messagePayload, readPayload } from './payload.ts';
import type { PushJournal } from './push-journal.ts';
import type { Made, Outcome, PushSender } from './push-sender.ts';
import { waitBeforeRetry } from './retry.ts';

/** What lanes work with. One object for all of them: there may be very many. */
export interface LaneParts {
  readonly log: MessageLog;
  readonly sender: PushSender;
  readonly journal: PushJournal;
  readonly turns: Turns;
  /** Milliseconds since the Unix epoch, now. */
  readonly now: () => number;
  /** Milliseconds until a message is old enough. */
  readonly delay: number;
}

/** What a lane says. */
export interface LaneEvents {
  /** A message of this recipient is old enough after so many milliseconds. */
  onLater(recipient: string, milliseconds: number): void;
  /** The device is gone: its subscriptions are to be removed. */
  onGone(endpoint: string): Promise<void>;
  /** The log fails: the device waits for another try. */
  onFailure(error: unknown): void;
  /** There is nothing to do any more for a device. */
  onIdle(endpoint: string): void;
}

/** How looking at subscriptions ended: `done`, all is handed over; `over`, the service ends. */
type RoundEnd = 'done' | 'over' | Extract<Outcome, { kind: 'failed' }>;

/** How looking at one ended: `again`, there may be more. */
type LookEnd = RoundEnd | 'again';

/**
 * One device's way through the log: for one of its subscriptions after the other, what is due is found, handed over one
 * by one, and written down, until nothing is due. No queue of messages is kept: what could not be handed over is found
 * again, and what waits is known by its id alone.
 */
export class Lane {
  readonly #endpoint: string;
  readonly #parts: LaneParts;
  readonly #events: LaneEvents;
  /** The ids of the subscriptions that are to be looked at. */
  readonly #pending = new Set<number>();
  #state: 'idle' | 'working' | 'waiting' = 'idle';
  #failures = 0;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(endpoint: string, parts: LaneParts, events: LaneEvents) {
    this.#endpoint = endpoint;
    this.#parts = parts;
    this.#events = events;
  }

  /** Whether it waits for another try. */
  get isWaiting(): boolean {
    return this.#state === 'waiting';
  }

  /** Looks at what is due for a subscription; after a failure, when the time for the next try has come. */
  wake(id: number): void {
    this.#pending.add(id);
    if (this.#state === 'idle') void this.#work();
  }

  /** A subscription is gone. */
  forget(id: number): void {
    this.#pending.delete(id);
    if (this.#state !== 'waiting' || this.#pending.size > 0) return;
    clearTimeout(this.#timer);
    this.#state = 'idle';
    this.#events.onIdle(this.#endpoint);
  }

  /** The service ends: there is no other try. */
  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  async #work(): Promise<void> {
    this.#state = 'working';
    while (this.#pending.size > 0) {
      const end = await this.#round();
      if (end === 'over') break;
      if (end === 'done') continue;
      this.#retry(end.asked);
      return;
    }
    this.#state = 'idle';
    this.#events.onIdle(this.#endpoint);
  }

  /** Looks at the pending subscriptions, one after the other. Those that are not done are pending again. */
  async #round(): Promise<RoundEnd> {
    const ids = [...this.#pending];
    this.#pending.clear();
    const written: Promise<void>[] = [];
    let end: LookEnd = 'done';
    for (const [index, id] of ids.entries()) {
      end = await this.#tryLook(id, written);
      if (end === 'again') this.#pending.add(id);
      if (end === 'done' || end === 'again') continue;
      for (const left of ids.slice(index)) this.#pending.add(left);
      break;
    }
    // What was handed over is found again until that is written down.
    await Promise.all(written);
    return end === 'again' ? 'done' : end;
  }

  #retry(asked: number | undefined): void {
    this.#state = 'waiting';
    if (this.#stopped) return;
    this.#failures++;
    const wait = waitBeforeRetry(this.#failures, asked, Math.random());
    this.#timer = setTimeout(() => void this.#work(), wait).unref();
  }

  async #tryLook(id: number, written: Promise<void>[]): Promise<LookEnd> {
    try {
      return await this.#look(id, written);
    } catch (error) {
      if (!this.#stopped) this.#events.onFailure(error);
      return { kind: 'failed', asked: undefined };
    }
  }

  /** @param written takes what settles when something is written down */
  async #look(id: number, written: Promise<void>[]): Promise<LookEnd> {
    const { journal, turns } = this.#parts;
    const due = await inTurns(turns, this.#find(id));
    if (due === undefined) return 'done';
    const end = await this.#handOver(id, due, written);
    if (end !== 'done') return end;
    if (due.through !== undefined) written.push(journal.write({ kind: 'through', id, through: due.through }));
    return due.more ? 'again' : 'done';
  }

  *#find(id: number): Generator<undefined, Due | undefined> {
    const { log, now, delay } = this.#parts;
    const subscription = log.pushes.subscription(id);
    if (subscription === undefined) return undefined;
    const due = yield* findDue(log.pushes, subscription, { head: log.head, now: now(), delay });
    if (due.nextIn !== undefined) this.#events.onLater(subscription.recipient, due.nextIn);
    return due;
  }

  async #handOver(id: number, { covered, messages }: Due, written: Promise<void>[]): Promise<LookEnd> {
    const { sender, journal } = this.#parts;
    let again = false;
    for (const [index, messageId] of [...covered, ...messages].entries()) {
      const isRead = index < covered.length;
      let peer: string | undefined;
      const outcome = await sender.send(this.#endpoint, async () => {
        const made = await (isRead ? this.#reading(id, messageId) : this.#notification(id, messageId));
        if (typeof made === 'object') peer = made.push.peer;
        return made;
      });
      if (outcome.kind === 'failed') return outcome;
      if (outcome.kind === 'dropped') return 'over';
      if (outcome.kind === 'gone') {
        await this.#events.onGone(this.#endpoint);
        return 'done';
      }
      if (outcome.kind === 'needless') again = true;
      else this.#failures = 0;
      // What was refused is not to be found again either.
      const kind = isRead ? 'closed' : 'notified';
      if (peer !== undefined) written.push(journal.write({ kind, id, peer, messageId }));
    }
    // What was not needed any more may have stood before something that is.
    return again ? 'again' : 'done';
  }

  /** Makes what a device is told of a message; `undefined` if it has been read, or has expired. */
  async #notification(id: number, messageId: number): Promise<Made> {
    const { log, turns, journal } = this.#parts;
    if (journal.isFull) return 'later';
    const unread = await inTurns(turns, log.pushes.unread(this.#endpoint));
    const subscription = log.pushes.subscription(id);
    const message = log.message(messageId);
    if (subscription === undefined || message === undefined) return undefined;
    const peer = peerOf(subscription, message.sender);
    if (log.pushes.readThrough(subscription.reader, peer) >= messageId) return undefined;
    const push = {
      payload: messagePayload(message, { peer, cursor: log.cursor(messageId), unread }),
      peer,
      expiresAt: message.expiresAt,
      // RFC 8030 §5.3 has chats as `normal`, but Android keeps those back while the phone lies still.
      urgency: 'high',
    } as const;
    return { subscription, push };
  }

  /** Makes what a device is told of a conversation that was read; in its place if the device has not got that yet. */
  async #reading(id: number, messageId: number): Promise<Made> {
    const { log, turns, journal } = this.#parts;
    if (journal.isFull) return 'later';
    const unread = await inTurns(turns, log.pushes.unread(this.#endpoint));
    const subscription = log.pushes.subscription(id);
    const peer = log.pushes.peerOfNotice(id, messageId);
    if (subscription === undefined || peer === undefined) return undefined;
    const { recipient, reader } = subscription;
    const through = log.pushes.readThrough(reader, peer);
    const payload = readPayload({ recipient, peer, through, unread });
    return { subscription, push: { payload, peer, expiresAt: null, urgency: 'normal' } };
  }
}
