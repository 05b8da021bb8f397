import type { ForwardPage, MessageLog, Start } from '../log/message-log.ts';
import type { Inboxes } from '../log/store.ts';
import type { Message } from '../message.ts';
import type { Connection } from '../stream/connection.ts';
import type { Framing } from '../stream/framing.ts';
import type { Delivery, EphemeralFrames } from './delivery.ts';
import type { Follower, Hub } from './hub.ts';
import type { Task, Turns } from './turns.ts';

/** Whose subscription it is: where its bytes go, and what that wants to hear of. */
export interface Subscriber {
  readonly inboxes: Inboxes;
  /** It calls `drained` on the subscription where it had no room, and has some again. */
  readonly connection: Pick<Connection, 'room' | 'write'>;
  readonly framing: Framing;
  /** The first replay is over: from here on it is as it happens. */
  onLive(replayed: number): void;
  /** Retention took messages that this device had not got yet. The subscription is closed. */
  onOvertaken(): void;
  /** The log cannot be read. The subscription is closed. */
  onFailed(error: unknown): void;
}

/** What a subscription works with. */
export interface SubscriptionParts {
  readonly log: MessageLog;
  readonly hub: Hub;
  readonly turns: Turns;
}

/** Where a subscription is on its way. */
export type SubscriptionState = 'replaying' | 'live' | 'closed';

/** A page is read on the thread that serves all sockets: small enough to stay under a few milliseconds. */
const PAGE_MESSAGES = 500;

/** Below this room a page is not worth reading; it is more than any one frame needs. */
const LEAST_ROOM = 72 * 1024;

/**
 * One device's way through the log. It writes a message exactly when its id is greater than the cursor, which then
 * becomes that id; replay and live are the same rule, so a hand-over can neither lose nor repeat. The log is its
 * buffer: what the connection has no room for stays there, and is read again from the cursor.
 */
export class Subscription implements Follower, Task {
  readonly inboxes: Inboxes;
  readonly #parts: SubscriptionParts;
  readonly #subscriber: Subscriber;
  /** What retention took up to here was told as a gap when the stream began. */
  readonly #toldThrough: number;
  #cursor: number;
  #state: SubscriptionState = 'replaying';
  #replayed = 0;
  #delivered = 0;
  #wasLive = false;

  /**
   * @param start where it begins; the device knows of its gap
   */
  constructor(parts: SubscriptionParts, subscriber: Subscriber, start: Start) {
    this.#parts = parts;
    this.#subscriber = subscriber;
    this.inboxes = subscriber.inboxes;
    this.#cursor = start.after;
    this.#toldThrough = start.purgedThrough;
  }

  /** The position in the log up to which everything was written. */
  get cursor(): number {
    return this.#cursor;
  }

  get state(): SubscriptionState {
    return this.#state;
  }

  /** How many messages were written: replayed, live, and those that are not stored. */
  get messages(): number {
    return this.#replayed + this.#delivered;
  }

  /** Begins. It is registered before the first read, so that nothing falls between the two. */
  start(): void {
    this.#parts.hub.add(this);
    this.#parts.turns.add(this);
  }

  /** Ends: nothing is written after it. Does nothing where it has ended. */
  close(): void {
    this.#state = 'closed';
    this.#parts.turns.remove(this);
    this.#parts.hub.remove(this);
  }

  /** The connection has room again. */
  drained(): void {
    if (this.#state === 'replaying') this.#parts.turns.add(this);
  }

  deliver(delivery: Delivery): void {
    // While it is replaying, the log has them, and the replay comes to them.
    if (this.#state !== 'live' || delivery.lastId <= this.#cursor) return;
    const { connection, framing } = this.#subscriber;
    const unseen = delivery.firstId > this.#cursor ? delivery : delivery.after(this.#cursor);
    for (const { bytes, messages, lastId } of unseen.slices(framing)) {
      if (connection.room < bytes.length) {
        this.#state = 'replaying';
        return;
      }
      connection.write(bytes);
      this.#cursor = lastId;
      this.#delivered += messages;
      this.#parts.hub.traffic.delivered += messages;
    }
  }

  deliverEphemeral(frames: EphemeralFrames): boolean {
    if (this.#state !== 'live') return false;
    const { connection, framing } = this.#subscriber;
    const frame = frames.in(framing);
    if (connection.room < frame.length) return false;
    connection.write(frame);
    this.#delivered++;
    return true;
  }

  /** Its turn: writes the next page of the backlog, and waits for another turn; goes live where there is none. */
  turn(): void {
    if (this.#subscriber.connection.room < LEAST_ROOM) return;
    try {
      this.#writePage(this.#readPage());
    } catch (error) {
      this.close();
      this.#subscriber.onFailed(error);
    }
  }

  #writePage({ page, texts }: { page: ForwardPage; texts: string[] }): void {
    const { log, hub, turns } = this.#parts;
    if (page.purgedThrough > Math.max(this.#cursor, this.#toldThrough)) {
      this.close();
      this.#subscriber.onOvertaken();
      return;
    }
    const { connection, framing } = this.#subscriber;
    if (texts.length > 0) connection.write(framing.encode(texts));
    this.#replayed += texts.length;
    hub.traffic.replayed += texts.length;
    if (page.more) {
      this.#cursor = page.through;
      turns.add(this);
      return;
    }
    // Nothing of these inboxes lies between the page and the head.
    this.#cursor = Math.max(page.through, log.head);
    this.#state = 'live';
    if (!this.#wasLive) {
      this.#wasLive = true;
      this.#subscriber.onLive(this.#replayed);
    }
  }

  #readPage(): { page: ForwardPage; texts: string[] } {
    const { log } = this.#parts;
    const { connection, framing } = this.#subscriber;
    const texts: string[] = [];
    let room = connection.room;
    const take = (message: Message): boolean => {
      const text = framing.message(message, log.cursor(message.id));
      const bytes = framing.byteLength(text);
      if (bytes > room) return false;
      room -= bytes;
      texts.push(text);
      return true;
    };
    return { page: log.readAfter(this.inboxes, this.#cursor, PAGE_MESSAGES, take), texts };
  }
}
