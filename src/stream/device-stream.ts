import type { Identity } from '../auth/identity.ts';
import type { TrustedKey } from '../auth/trusted-key.ts';
import type { Device, Devices } from '../hub/devices.ts';
import type { Hub } from '../hub/hub.ts';
import type { Presence } from '../hub/presence.ts';
import { Subscription, type SubscriptionState } from '../hub/subscription.ts';
import type { StreamEnd } from '../hub/traffic.ts';
import type { Turns } from '../hub/turns.ts';
import type { MessageLog, Start } from '../log/message-log.ts';
import type { Inboxes } from '../log/store.ts';
import type { Connection, ConnectionOwner } from './connection.ts';
import type { Framing } from './framing.ts';
import type { Heartbeats } from './heartbeats.ts';
import {
  type ByeReason,
  type EventFields,
  RETRY_SERVED,
  type ServerEvents,
  spreadRetry,
} from './server-events.ts';
import { WatchedPresence } from './watched-presence.ts';

/** What a device's stream is made of. */
export interface StreamParts {
  readonly log: MessageLog;
  readonly hub: Hub;
  readonly turns: Turns;
  readonly presence: Presence;
  readonly devices: Devices;
  readonly heartbeats: Heartbeats;
}

/** What a device asked for. */
export interface StreamRequest {
  readonly identity: Identity;
  readonly inboxes: Inboxes;
  readonly start: Start;
  /** Addresses whose presence it wants to see. */
  readonly watched: readonly string[];
  /** Called where the log cannot be read; the stream is cut. */
  readonly onFailed: (error: unknown) => void;
}

/** How a stream gets to its device: only this differs between the protocols. */
export interface Transport {
  readonly framing: Framing;
  /** Opens the stream on the wire. */
  open(owner: ConnectionOwner): Connection;
}

/** One open stream of one device: from the first byte to the last. */
export class DeviceStream implements Device, ConnectionOwner {
  readonly inboxes: Inboxes;
  readonly client: string | undefined;
  readonly expiresAt: number | undefined;
  readonly key: TrustedKey | undefined;
  readonly connection: Connection;
  readonly framing: Framing;
  readonly #parts: StreamParts;
  readonly #subscription: Subscription;
  readonly #watched: WatchedPresence | undefined;
  readonly #onFailed: (error: unknown) => void;
  #ended: StreamEnd | undefined;

  /** Opens it, sends all that comes before the first message, and begins to follow. */
  constructor(parts: StreamParts, transport: Transport, request: StreamRequest) {
    const { identity, inboxes, start, watched, onFailed } = request;
    this.inboxes = inboxes;
    this.client = identity.client;
    this.expiresAt = identity.expiresAt;
    this.key = identity.key;
    this.#parts = parts;
    this.#onFailed = onFailed;
    this.framing = transport.framing;
    this.connection = transport.open(this);
    this.#subscription = new Subscription(parts, this, start);
    const heartbeatSeconds = parts.heartbeats.seconds;
    this.#say('ready', { cursor: this.#cursor, gap: start.gap, heartbeatSeconds, ...endOf(identity) }, true);
    // Present before it looks: a device that watches its own address sees itself.
    parts.devices.join(this);
    parts.hub.traffic.opened++;
    parts.heartbeats.add(this);
    this.#watched = watched.length === 0 ? undefined : new WatchedPresence(parts.presence, watched, this);
    this.#watched?.tell();
    this.#subscription.start();
  }

  expire(): void {
    this.#end('token-expired');
  }

  /** Why it is over; `undefined` while it is open. */
  get ended(): StreamEnd | undefined {
    return this.#ended;
  }

  /** How many messages were written. */
  get messages(): number {
    return this.#subscription.messages;
  }

  get protocol(): Framing['protocol'] {
    return this.framing.protocol;
  }

  get state(): SubscriptionState {
    return this.#subscription.state;
  }

  get buffered(): number {
    return this.connection.buffered;
  }

  behind(head: number): number {
    return this.state === 'replaying' ? Math.max(0, head - this.#subscription.cursor) : 0;
  }

  shutdown(): void {
    this.#end('shutdown');
  }

  drained(): void {
    this.#watched?.tell();
    this.#subscription.drained();
  }

  closed(stalled: boolean): void {
    this.#leave(stalled ? 'stalled' : 'client');
  }

  onLive(replayed: number): void {
    this.#say('live', { cursor: this.#cursor, replayed });
  }

  onOvertaken(): void {
    this.#end('too-slow');
  }

  onFailed(error: unknown): void {
    this.#onFailed(error);
    this.#leave('failed');
    this.connection.cut();
  }

  get #cursor(): string {
    return this.#parts.log.cursor(this.#subscription.cursor);
  }

  #say<Name extends keyof ServerEvents>(name: Name, data: ServerEvents[Name], withRetry = false): void {
    this.connection.write(this.#encode(name, data, withRetry));
  }

  #encode<Name extends keyof ServerEvents>(name: Name, data: ServerEvents[Name], withRetry: boolean): Buffer {
    const retry = withRetry ? spreadRetry(RETRY_SERVED) : undefined;
    const fields: EventFields = { cursor: this.#cursor, retry };
    return this.framing.encode([this.framing.event(name, data, fields)]);
  }

  /** Says why it ends, and where the device is; it comes back there. */
  #end(reason: ByeReason): void {
    const bye = this.#encode('bye', { reason }, true);
    this.#leave(reason);
    this.connection.end(bye, reason);
  }

  #leave(why: StreamEnd): void {
    if (this.#ended !== undefined) return;
    this.#ended = why;
    this.#parts.hub.traffic.ended[why]++;
    this.#subscription.close();
    this.#watched?.stop();
    this.#parts.heartbeats.remove(this);
    this.#parts.devices.leave(this);
  }
}

/** When a device has to end, as `ready` says it; nothing in open mode. */
function endOf({ expiresAt }: Identity): { expiresAt?: string } {
  return expiresAt === undefined ? {} : { expiresAt: new Date(expiresAt).toISOString() };
}
