import type { ForwardPage, MessageLog, Start } from '../log/message-log.ts';
import type { Inboxes } from '../log/store.ts';
import type { Message } from '../message.ts';
import { messageFrame } from '../sse/frame.ts';
import { Delivery } from './delivery.ts';
import type { Follower, Hub } from './hub.ts';
import type { Turns } from './turns.ts';

/** Where a subscription's bytes go: a socket, with a bound on what it buffers. */
export interface Sink {
  /** How many bytes it takes now. */
  readonly room: number;
  /** Takes bytes. Where it then has no room left, it calls `drained` on the subscription once it has. */
  write(bytes: Buffer): void;
}

/** What the owner of a subscription wants to hear of. */
export interface SubscriptionEvents {
  /** The first replay is over: from here on it is as it happens. */
  onLive(replayed: number): void;
  /** Retention took messages that this device had not got yet. The subscription is closed. */
  onOvertaken(): void;
  /** The log cannot be read. The subscription is closed. */
  onFailed(error: unknown): void;
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
 * buffer: what the sink has no room for stays there, and is read again from the cursor.
 */
export class Subscription implements Follower {
  readonly inboxes: Inboxes;
  readonly #log: MessageLog;
  readonly #hub: Hub;
  readonly #turns: Turns;
  readonly #sink: Sink;
  readonly #events: SubscriptionEvents;
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
  constructor(
    parts: { log: MessageLog; hub: Hub; turns: Turns; sink: Sink; events: SubscriptionEvents },
    inboxes: Inboxes,
    start: Start,
  ) {
    this.#log = parts.log;
    this.#hub = parts.hub;
    this.#turns = parts.turns;
    this.#sink = parts.sink;
    this.#events = parts.events;
    this.inboxes = inboxes;
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
    this.#hub.add(this);
    this.#turns.add(this.#replay);
  }

  /** Ends: nothing is written after it. Does nothing where it has ended. */
  close(): void {
    this.#state = 'closed';
    this.#turns.remove(this.#replay);
    this.#hub.remove(this);
  }

  /** The sink has room again. */
  drained(): void {
    if (this.#state === 'replaying') this.#turns.add(this.#replay);
  }

  deliver(deliveries: readonly Delivery[]): void {
    // While it is replaying, the log has them, and the replay comes to them.
    if (this.#state !== 'live') return;
    const [first] = deliveries;
    const shared = deliveries.length === 1 && first !== undefined && first.firstId > this.#cursor;
    for (const { bytes, messages, lastId } of shared
      ? first.slices
      : Delivery.merge(deliveries, this.#cursor)) {
      if (this.#sink.room < bytes.length) {
        this.#state = 'replaying';
        return;
      }
      this.#sink.write(bytes);
      this.#cursor = lastId;
      this.#delivered += messages;
      this.#hub.traffic.delivered += messages;
    }
  }

  deliverEphemeral(frame: Buffer): boolean {
    if (this.#state !== 'live' || this.#sink.room < frame.length) return false;
    this.#sink.write(frame);
    this.#delivered++;
    return true;
  }

  /** Its turn: writes the next page of the backlog, and waits for another turn; goes live where there is none. */
  readonly #replay = (): void => {
    if (this.#sink.room < LEAST_ROOM) return;
    try {
      this.#writePage(this.#readPage());
    } catch (error) {
      this.close();
      this.#events.onFailed(error);
    }
  };

  #writePage({ page, frames }: { page: ForwardPage; frames: string[] }): void {
    if (page.purgedThrough > Math.max(this.#cursor, this.#toldThrough)) {
      this.close();
      this.#events.onOvertaken();
      return;
    }
    if (frames.length > 0) this.#sink.write(Buffer.from(frames.join('')));
    this.#replayed += frames.length;
    this.#hub.traffic.replayed += frames.length;
    if (page.more) {
      this.#cursor = page.through;
      this.#turns.add(this.#replay);
      return;
    }
    // Nothing of these inboxes lies between the page and the head.
    this.#cursor = Math.max(page.through, this.#log.head);
    this.#state = 'live';
    if (!this.#wasLive) {
      this.#wasLive = true;
      this.#events.onLive(this.#replayed);
    }
  }

  #readPage(): { page: ForwardPage; frames: string[] } {
    const frames: string[] = [];
    let room = this.#sink.room;
    const take = (message: Message): boolean => {
      const frame = messageFrame(message, this.#log.cursor(message.id));
      const bytes = Buffer.byteLength(frame);
      if (bytes > room) return false;
      room -= bytes;
      frames.push(frame);
      return true;
    };
    return { page: this.#log.readAfter(this.inboxes, this.#cursor, PAGE_MESSAGES, take), frames };
  }
}
