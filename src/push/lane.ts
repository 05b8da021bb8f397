import type { Logger } from 'pino';
import type { Turns } from '../hub/turns.ts';
import type { MessageLog } from '../log/message-log.ts';
import type { CoveredNotice } from '../log/push-store.ts';
import { DueSearch } from './due.ts';
import { messagePayload, readPayload } from './payload.ts';
import type { PushJournal } from './push-journal.ts';
import type { Outcome, PushSender, SignedPush } from './push-sender.ts';
import { waitBeforeRetry } from './retry.ts';

/** What a lane works with. */
export interface LaneParts {
  readonly log: MessageLog;
  readonly sender: PushSender;
  readonly journal: PushJournal;
  readonly turns: Turns;
  readonly logger: Logger;
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
  /** There is nothing to do any more. */
  onIdle(): void;
}

/** How a round ended: `done`, all is handed over; `again`, something has changed meanwhile; `over`, there is no other. */
type RoundEnd = 'done' | 'again' | 'over' | Extract<Outcome, { kind: 'failed' }>;

/**
 * One subscription's way through the log: what is due is found, handed over one by one, and written down, until nothing
 * is due. No queue is kept: what could not be handed over is found again.
 */
export class Lane {
  readonly #id: number;
  readonly #parts: LaneParts;
  readonly #events: LaneEvents;
  #state: 'idle' | 'working' | 'waiting' = 'idle';
  /** Something has happened since the round began. */
  #again = false;
  #failures = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(id: number, parts: LaneParts, events: LaneEvents) {
    this.#id = id;
    this.#parts = parts;
    this.#events = events;
  }

  /** Whether it waits for another try. */
  get isWaiting(): boolean {
    return this.#state === 'waiting';
  }

  /** Looks at what is due; after a failure, when the time for the next try has come. */
  wake(): void {
    this.#again = true;
    if (this.#state === 'idle') void this.#work();
  }

  /** The subscription is gone, or the service ends: there is no other try. */
  stop(): void {
    clearTimeout(this.#timer);
  }

  async #work(): Promise<void> {
    this.#state = 'working';
    try {
      for (let end: RoundEnd = 'again'; end === 'again' || (end === 'done' && this.#again);) {
        this.#again = false;
        end = await this.#round();
        if (typeof end === 'object') {
          this.#retry(end.asked);
          return;
        }
        if (end === 'done') this.#failures = 0;
      }
      this.#state = 'idle';
      this.#events.onIdle();
    } catch (error) {
      this.#parts.logger.error({ err: error }, 'notifications of a device wait: the log fails');
      this.#retry(undefined);
    }
  }

  #retry(asked: number | undefined): void {
    this.#state = 'waiting';
    this.#failures++;
    const wait = waitBeforeRetry(this.#failures, asked, Math.random());
    this.#timer = setTimeout(() => void this.#work(), wait).unref();
  }

  async #round(): Promise<RoundEnd> {
    const { log, journal, now, delay } = this.#parts;
    const begun = await this.#takeTurn(() => {
      const found = log.pushes.subscription(this.#id);
      if (found === undefined) return undefined;
      return { subscription: found, search: new DueSearch(log.pushes, found, log.head, now(), delay) };
    });
    if (begun === undefined) return 'over';
    const { subscription, search } = begun;
    const { endpoint, recipient, expirationTime } = subscription;
    if (expirationTime !== null && expirationTime <= now()) {
      await this.#events.onGone(endpoint);
      return 'over';
    }
    while (await this.#takeTurn(() => search.step()));
    const { covered, messages, through, nextIn } = search.due;
    const pushes = [
      ...covered.map(
        (notice) => [notice.peer, notice.messageId, 'closed', () => this.#reading(notice)] as const,
      ),
      ...[...messages].map(
        ([peer, id]) => [peer, id, 'notified', () => this.#notification(peer, id)] as const,
      ),
    ];
    let again = false;
    for (const [peer, messageId, kind, make] of pushes) {
      const outcome = await this.#parts.sender.send(subscription, make);
      if (outcome.kind === 'failed') return outcome;
      if (outcome.kind === 'dropped') return 'over';
      if (outcome.kind === 'gone') {
        await this.#events.onGone(endpoint);
        return 'over';
      }
      if (outcome.kind === 'needless') again = true;
      // What was refused is not to be found again either.
      else await journal.write([{ kind, id: this.#id, peer, messageId }]);
    }
    // What was not needed any more may have stood before something that is.
    if (again) return 'again';
    if (through > subscription.through) await journal.write([{ kind: 'through', id: this.#id, through }]);
    if (nextIn !== undefined) this.#events.onLater(recipient, nextIn);
    return 'done';
  }

  /** What a device is told of a message; `undefined` where it has been read, or has expired. */
  #notification(peer: string, messageId: number): SignedPush | undefined {
    const { log } = this.#parts;
    const subscription = log.pushes.subscription(this.#id);
    const message = log.message(messageId);
    if (subscription === undefined || message === undefined) return undefined;
    if (log.pushes.readThrough(subscription.reader, peer) >= messageId) return undefined;
    const { endpoint } = subscription;
    const facts = { peer, cursor: log.cursor(messageId), unread: log.pushes.unread(endpoint) };
    const push = {
      payload: messagePayload(message, facts),
      peer,
      expiresAt: message.expiresAt,
      // RFC 8030 §5.3 has chats as `normal`, but Android keeps those back while the phone lies still.
      urgency: 'high',
    } as const;
    return { subscription, push };
  }

  /** What a device is told of a conversation that was read; in its place where the device has not got that yet. */
  #reading({ peer, through }: CoveredNotice): SignedPush | undefined {
    const { log } = this.#parts;
    const subscription = log.pushes.subscription(this.#id);
    if (subscription === undefined) return undefined;
    const { recipient, endpoint } = subscription;
    const payload = readPayload({ recipient, peer, through, unread: log.pushes.unread(endpoint) });
    return { subscription, push: { payload, peer, expiresAt: null, urgency: 'normal' } };
  }

  /** Reads the log when it is its turn: after a start there may be very many that want to. */
  #takeTurn<T>(read: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      const turn = (): void => {
        try {
          resolve(read());
        } catch (error) {
          reject(new Error('the log cannot be read', { cause: error }));
        }
      };
      this.#parts.turns.add({ turn });
    });
  }
}
