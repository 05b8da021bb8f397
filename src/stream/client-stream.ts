import type { Identity } from '../auth/identity.ts';
import type { TrustedKey } from '../auth/trusted-key.ts';
import type { OpenConnection, Connections } from '../hub/connections.ts';
import type { Hub } from '../hub/hub.ts';
import type { Presence } from '../hub/presence.ts';
import { Subscription, type SubscriptionOwner, type SubscriptionState } from '../hub/subscription.ts';
import type { StreamEnd } from '../metrics/counters/delivery-counters.ts';
import { Waiter } from '../hub/waiter.ts';
import type { FairScheduler } from '../fair-scheduler.ts';
import { LogBehind, type MessageLog, type Start } from '../log/message-log.ts';
import type { Inboxes } from '../log/inboxes.ts';
import type { Connection, ConnectionOwner } from '../wire/connection.ts';
import type { Framing } from '../wire/framing.ts';
import type { Heartbeats } from './heartbeats.ts';
import {
  type ByeReason,
  type EventFields,
  RETRY_REFUSED,
  RETRY_SERVED,
  type RetrySpread,
  type ServerEvents,
  spreadRetry,
} from '../wire/server-events.ts';
import { WatchedPresence } from './watched-presence.ts';

/** The parts of the service that a stream uses. */
export interface StreamParts {
  readonly log: MessageLog;
  readonly hub: Hub;
  readonly scheduler: FairScheduler;
  readonly presence: Presence;
  readonly connections: Connections;
  readonly heartbeats: Heartbeats;
}

/** The properties of one stream, as requested by its client. */
export interface StreamOptions {
  readonly identity: Identity;
  readonly inboxes: Inboxes;
  /** Returns its start position. @throws {LogUnreadable} if the log cannot be read */
  readonly start: () => Start;
  /** Settles when the log can determine the start position; `undefined` if it can now. */
  readonly reached: Promise<void> | undefined;
  /** The addresses whose presence is sent. */
  readonly watched: readonly string[];
  /** Called if the log cannot be read. The connection is cut. */
  readonly onFailed: (error: unknown) => void;
}

/** The protocol of a stream, and its connection. */
export interface Transport {
  readonly framing: Framing;
  /** Sends the head of the response. @returns the connection, not started */
  readonly open: () => Connection;
}

/** One open stream of one client, from its first byte to its last. */
export class ClientStream implements OpenConnection, ConnectionOwner, SubscriptionOwner {
  readonly inboxes: Inboxes;
  readonly client: string | undefined;
  readonly expiresAt: number | undefined;
  readonly key: TrustedKey | undefined;
  readonly connection: Connection;
  readonly framing: Framing;
  readonly #parts: StreamParts;
  readonly #watched: WatchedPresence | undefined;
  readonly #onFailed: (error: unknown) => void;
  /** Its wait before it begins; `undefined` if it began at once. */
  #waiter: Waiter | undefined;
  /** Its progress; `undefined` while it waits. */
  #subscription: Subscription | undefined;
  #ended: StreamEnd | undefined;

  private constructor(
    parts: StreamParts,
    connection: Connection,
    framing: Framing,
    { identity, inboxes, watched, onFailed }: StreamOptions,
  ) {
    this.inboxes = inboxes;
    this.client = identity.client;
    this.expiresAt = identity.expiresAt;
    this.key = identity.key;
    this.connection = connection;
    this.framing = framing;
    this.#parts = parts;
    this.#watched =
      watched.length === 0 ? undefined : new WatchedPresence(parts.presence, watched, connection, framing);
    this.#onFailed = onFailed;
  }

  /**
   * Opens a stream, writes everything that precedes its first message, and subscribes to its inboxes. If the log cannot
   * determine the start position yet, writes nothing until it can, or until it has failed to catch up in time.
   *
   * @throws {LogUnreadable} if the log cannot be read. Then nothing was sent
   */
  static open(parts: StreamParts, transport: Transport, options: StreamOptions): ClientStream {
    const { start, reached } = options;
    const position = reached === undefined ? start() : undefined;
    const stream = new ClientStream(parts, transport.open(), transport.framing, options);
    stream.connection.start(stream);
    if (position !== undefined) stream.#sayReady(position);
    // Before the watched presence is sent, so that a stream that watches its own address sees itself online.
    parts.connections.join(stream);
    parts.hub.deliveries.opened++;
    if (reached === undefined) stream.#begin();
    else stream.#wait(reached, start);
    return stream;
  }

  expire(): void {
    this.#end('token-expired');
  }

  /** Why the stream ended; `undefined` while it is open. */
  get ended(): StreamEnd | undefined {
    return this.#ended;
  }

  /** The number of messages written. */
  get messages(): number {
    return this.#subscription?.messages ?? 0;
  }

  get protocol(): Framing['protocol'] {
    return this.framing.protocol;
  }

  get state(): SubscriptionState | 'waiting' {
    return this.#subscription?.state ?? 'waiting';
  }

  get buffered(): number {
    return this.connection.buffered;
  }

  behind(head: number): number {
    return this.#subscription?.state === 'replaying' ? Math.max(0, head - this.#subscription.cursor) : 0;
  }

  disconnect(retry: RetrySpread): void {
    this.#end('disconnected', retry);
  }

  shutdown(): void {
    this.#end('shutdown');
  }

  drained(): void {
    this.#watched?.tell();
    this.#subscription?.drained();
  }

  closed(stalled: boolean): void {
    this.#leave(stalled ? 'stalled' : 'client');
  }

  onLive(replayed: number): void {
    this.#write('live', { cursor: this.#cursor, replayed });
  }

  onOvertaken(): void {
    this.#end('too-slow');
  }

  onFailed(error: unknown): void {
    this.#onFailed(error);
    this.#leave('failed');
    this.connection.cut();
  }

  /**
   * Begins when the log has reached the client's cursor. Streams take turns, since many may have waited for the same
   * moment.
   */
  #wait(reached: Promise<void>, start: () => Start): void {
    this.#waiter = new Waiter(reached, (failed) => {
      if (failed?.error instanceof LogBehind) this.#end('behind', RETRY_REFUSED);
      else this.#parts.scheduler.add({ turn: () => this.#beginAt(start) });
    });
  }

  #beginAt(start: () => Start): void {
    if (this.#ended !== undefined) return;
    try {
      this.#sayReady(start());
    } catch (error) {
      this.onFailed(error);
      return;
    }
    this.#begin();
  }

  #sayReady(start: Start): void {
    const { inboxes, connection, framing } = this;
    this.#subscription = new Subscription(this.#parts, { inboxes, connection, framing }, start);
    const expiry = this.expiresAt === undefined ? {} : { expiresAt: new Date(this.expiresAt).toISOString() };
    const heartbeatSeconds = this.#parts.heartbeats.seconds;
    const cursor = this.#parts.log.cursor(start.after);
    this.#write('ready', { cursor, gap: start.gap, heartbeatSeconds, ...expiry }, true);
  }

  #begin(): void {
    this.#parts.heartbeats.add(this);
    this.#watched?.start();
    this.#subscription?.start(this);
  }

  get #cursor(): string {
    return this.#parts.log.cursor(this.#subscription?.cursor ?? 0);
  }

  #write<Name extends keyof ServerEvents>(name: Name, data: ServerEvents[Name], withRetry = false): void {
    this.connection.write(this.#encode(name, data, withRetry ? RETRY_SERVED : undefined));
  }

  #encode<Name extends keyof ServerEvents>(
    name: Name,
    data: ServerEvents[Name],
    spread: RetrySpread | undefined,
  ): Buffer {
    const retry = spread === undefined ? undefined : spreadRetry(spread);
    // While the stream waits, the client keeps its own cursor.
    const cursor = this.#subscription === undefined ? undefined : this.#cursor;
    const fields: EventFields = { cursor, retry };
    return this.framing.encode([this.framing.event(name, data, fields)]);
  }

  /** Sends the reason and the cursor to come back with, and closes. */
  #end(reason: ByeReason, retry = RETRY_SERVED): void {
    const bye = this.#encode('bye', { reason }, retry);
    this.#leave(reason);
    this.connection.end(bye, reason);
  }

  #leave(why: StreamEnd): void {
    if (this.#ended !== undefined) return;
    this.#ended = why;
    this.#parts.hub.deliveries.ended[why]++;
    this.#waiter?.leave();
    this.#subscription?.close();
    this.#watched?.stop();
    this.#parts.heartbeats.remove(this);
    this.#parts.connections.leave(this);
  }
}
