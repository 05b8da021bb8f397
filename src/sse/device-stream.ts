import type { ServerResponse } from 'node:http';
import type { Identity } from '../auth/identity.ts';
import type { Device, Devices } from '../hub/devices.ts';
import type { Hub } from '../hub/hub.ts';
import { type Presence, toWire } from '../hub/presence.ts';
import { Subscription, type SubscriptionState } from '../hub/subscription.ts';
import type { StreamEnd } from '../hub/traffic.ts';
import type { Turns } from '../hub/turns.ts';
import type { MessageLog, Start } from '../log/message-log.ts';
import type { Inboxes } from '../log/store.ts';
import { EventStream } from './event-stream.ts';
import { type ByeReason, RETRY_SERVED, retryFrame, serverFrame, spreadRetry } from './frame.ts';
import type { Heartbeats } from './heartbeats.ts';

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

/** A presence frame is far shorter; with less room it waits. */
const PRESENCE_ROOM = 4096;

/** One open stream of one device: from the headers to the last byte. */
export class DeviceStream implements Device {
  readonly inboxes: Inboxes;
  readonly client: string | undefined;
  readonly expiresAt: number | undefined;
  readonly #parts: StreamParts;
  readonly #stream: EventStream;
  readonly #subscription: Subscription;
  readonly #unwatch: () => void;
  /** Addresses whose presence changed and is not told yet: the newest state is told, when there is room. */
  readonly #untold = new Set<string>();
  #ended: StreamEnd | undefined;

  /** Sends the headers and all that comes before the first message, and begins to follow. */
  constructor(parts: StreamParts, response: ServerResponse, request: StreamRequest) {
    const { identity, inboxes, start, watched, onFailed } = request;
    this.inboxes = inboxes;
    this.client = identity.client;
    this.expiresAt = identity.expiresAt;
    this.#parts = parts;
    const { log, hub, turns } = parts;
    this.#stream = new EventStream(response, {
      onDrain: () => {
        this.#tellPresence();
        this.#subscription.drained();
      },
      onClose: (stalled) => this.#leave(stalled ? 'stalled' : 'client'),
    });
    this.#subscription = new Subscription(
      {
        log,
        hub,
        turns,
        sink: this.#stream,
        events: {
          onLive: (replayed) => {
            const cursor = this.#cursor();
            this.#stream.write(serverFrame('live', { cursor, replayed }, cursor));
          },
          onOvertaken: () => this.#end('too-slow'),
          onFailed: (error) => {
            onFailed(error);
            this.#leave('failed');
            response.destroy();
          },
        },
      },
      inboxes,
      start,
    );
    const cursor = this.#cursor();
    const ready = { cursor, gap: start.gap, ...endOf(identity) };
    this.#stream.write(retryFrame(spreadRetry(RETRY_SERVED)) + serverFrame('ready', ready, cursor));
    // Present before it looks: a device that watches its own address sees itself.
    parts.devices.join(this);
    hub.traffic.opened++;
    parts.heartbeats.add(this.#stream);
    this.#unwatch = parts.presence.watch(watched, (address) => {
      this.#untold.add(address);
      this.#tellPresence();
    });
    for (const address of watched) this.#untold.add(address);
    this.#tellPresence();
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

  get state(): SubscriptionState {
    return this.#subscription.state;
  }

  get buffered(): number {
    return this.#stream.buffered;
  }

  behind(head: number): number {
    return this.state === 'replaying' ? Math.max(0, head - this.#subscription.cursor) : 0;
  }

  shutdown(): void {
    this.#end('shutdown');
  }

  #cursor(): string {
    return this.#parts.log.cursor(this.#subscription.cursor);
  }

  #tellPresence(): void {
    for (const recipient of this.#untold) {
      if (this.#stream.room < PRESENCE_ROOM) return;
      this.#untold.delete(recipient);
      const state = toWire(this.#parts.presence.state(recipient));
      this.#stream.write(serverFrame('presence', { recipient, ...state }));
    }
  }

  /** Says why it ends, and where the device is; it comes back there. */
  #end(reason: ByeReason): void {
    const bye = serverFrame('bye', { reason }, this.#cursor());
    this.#leave(reason);
    this.#stream.end(retryFrame(spreadRetry(RETRY_SERVED)) + bye);
  }

  #leave(why: StreamEnd): void {
    if (this.#ended !== undefined) return;
    this.#ended = why;
    this.#parts.hub.traffic.ended[why]++;
    this.#subscription.close();
    this.#unwatch();
    this.#parts.heartbeats.remove(this.#stream);
    this.#parts.devices.leave(this);
  }
}

/** When a device has to end, as `ready` says it; nothing in open mode. */
function endOf({ expiresAt }: Identity): { expiresAt?: string } {
  return expiresAt === undefined ? {} : { expiresAt: new Date(expiresAt).toISOString() };
}
