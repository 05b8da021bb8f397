import type { MessageLog, Start } from '../log/message-log.ts';
import type { ForwardPage, Inboxes } from '../log/inboxes.ts';
import type { Message } from '../message.ts';
import type { Connection } from '../wire/connection.ts';
import type { Framing } from '../wire/framing.ts';
import type { Delivery, EphemeralFrames } from './delivery.ts';
import type { Subscriber, Hub } from './hub.ts';
import type { Task, FairScheduler } from '../fair-scheduler.ts';

/** The stream that a subscription writes to. */
export interface SubscriptionTarget {
  readonly inboxes: Inboxes;
  /** The connection to write to. After it had no room, call `drained` on the subscription when it has room again. */
  readonly connection: Pick<Connection, 'room' | 'write'>;
  readonly framing: Framing;
}

/** The owner of a subscription, which is notified of its progress. */
export interface SubscriptionOwner {
  /** Called once, when the first replay is finished. From then on, messages are written as they are committed. */
  onLive(replayed: number): void;
  /** Called when retention has removed messages that the client had not received. The subscription is closed. */
  onOvertaken(): void;
  /** Called when the log cannot be read. The subscription is closed. */
  onFailed(error: unknown): void;
}

/** The parts of the service that a subscription uses. */
export interface SubscriptionParts {
  readonly log: MessageLog;
  readonly hub: Hub;
  readonly scheduler: FairScheduler;
}

/** The state of a subscription. */
export type SubscriptionState = 'replaying' | 'live' | 'closed';

/**
 * The maximum number of messages in a page. Reading them takes a few milliseconds at most on the thread that serves all
 * sockets.
 */
const PAGE_MESSAGES = 500;

/** The minimum room for which reading a page is worthwhile. No single frame needs as much. */
const MIN_ROOM = 72 * 1024;

/**
 * The progress of one stream through the log. It writes a message exactly when its id is greater than the cursor, which
 * then becomes that id. Replay and live follow the same rule, so the hand-over between them can neither lose nor repeat
 * a message. The log is its buffer: messages that the connection has no room for are read from the log later, after the
 * cursor.
 */
export class Subscription implements Subscriber, Task {
  readonly inboxes: Inboxes;
  readonly #parts: SubscriptionParts;
  readonly #connection: Pick<Connection, 'room' | 'write'>;
  readonly #framing: Framing;
  /** The id up to which the client was told of a gap when the stream began. */
  readonly #toldThrough: number;
  #owner: SubscriptionOwner | undefined;
  #cursor: number;
  #state: SubscriptionState = 'replaying';
  #replayed = 0;
  #delivered = 0;
  #wasLive = false;

  /** @param start the position to begin at. The client has been told of the gap there */
  constructor(
    parts: SubscriptionParts,
    { inboxes, connection, framing }: SubscriptionTarget,
    start: Pick<Start, 'after' | 'purgedThrough'>,
  ) {
    this.inboxes = inboxes;
    this.#parts = parts;
    this.#connection = connection;
    this.#framing = framing;
    this.#cursor = start.after;
    this.#toldThrough = start.purgedThrough;
  }

  /** The id up to which everything has been written. */
  get cursor(): number {
    return this.#cursor;
  }

  get state(): SubscriptionState {
    return this.#state;
  }

  /** The number of messages written: replayed, live and ephemeral. */
  get messages(): number {
    return this.#replayed + this.#delivered;
  }

  /** Starts. Joins the hub before the first read of the log, so that no message falls between the two. */
  start(owner: SubscriptionOwner): void {
    this.#owner = owner;
    this.#parts.hub.add(this);
    this.#parts.scheduler.add(this);
  }

  /** Ends. Nothing is written after this. Does nothing if it has already ended. */
  close(): void {
    this.#state = 'closed';
    this.#parts.scheduler.remove(this);
    this.#parts.hub.remove(this);
  }

  /** Continues the replay, since the connection has room again. */
  drained(): void {
    if (this.#state === 'replaying') this.#parts.scheduler.add(this);
  }

  deliver(delivery: Delivery): void {
    // A replay reads these messages from the log.
    if (this.#state !== 'live' || delivery.lastId <= this.#cursor) return;
    const connection = this.#connection;
    const unseen = delivery.firstId > this.#cursor ? delivery : delivery.after(this.#cursor);
    for (const { bytes, messages, lastId } of unseen.slices(this.#framing)) {
      if (connection.room < bytes.length) {
        this.#state = 'replaying';
        return;
      }
      connection.write(bytes);
      this.#cursor = lastId;
      this.#delivered += messages;
      this.#parts.hub.deliveries.delivered += messages;
    }
  }

  deliverEphemeral(frames: EphemeralFrames): boolean {
    if (this.#state !== 'live') return false;
    const frame = frames.in(this.#framing);
    if (this.#connection.room < frame.length) return false;
    this.#connection.write(frame);
    this.#delivered++;
    return true;
  }

  /** Writes the next page of the backlog and queues for another turn, or goes live after the last page. */
  turn(): void {
    if (this.#connection.room < MIN_ROOM) return;
    try {
      this.#writePage(this.#readPage());
    } catch (error) {
      this.close();
      this.#owner?.onFailed(error);
    }
  }

  #writePage({ page, texts }: { page: ForwardPage; texts: string[] }): void {
    const { log, hub, scheduler } = this.#parts;
    if (page.purgedThrough > Math.max(this.#cursor, this.#toldThrough)) {
      this.close();
      this.#owner?.onOvertaken();
      return;
    }
    if (texts.length > 0) this.#connection.write(this.#framing.encode(texts));
    this.#replayed += texts.length;
    hub.deliveries.replayed += texts.length;
    if (page.more) {
      this.#cursor = page.through;
      scheduler.add(this);
      return;
    }
    // These inboxes have no message between the page and the head.
    this.#cursor = Math.max(page.through, log.head);
    this.#state = 'live';
    if (!this.#wasLive) {
      this.#wasLive = true;
      this.#owner?.onLive(this.#replayed);
    }
  }

  #readPage(): { page: ForwardPage; texts: string[] } {
    const { log } = this.#parts;
    const framing = this.#framing;
    const texts: string[] = [];
    let room = this.#connection.room;
    const addIfItFits = (message: Message): boolean => {
      const text = framing.message(message, log.cursor(message.id));
      const bytes = framing.byteLength(text);
      if (bytes > room) return false;
      room -= bytes;
      texts.push(text);
      return true;
    };
    return { page: log.readAfter(this.inboxes, this.#cursor, PAGE_MESSAGES, addIfItFits), texts };
  }
}
