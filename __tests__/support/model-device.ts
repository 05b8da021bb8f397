/** A device that keeps its cursor, and what it got on each connection. */
import type { WireMessage } from './api.ts';
import type { Model } from './model.ts';
import { idOf } from './model-checks.ts';
import { DeviceStream } from './stream.ts';

/** The messages of one connection. */
export interface Leg {
  readonly inboxes: readonly string[];
  /** It began after this id, and had all through that one. */
  readonly from: number;
  readonly through: number;
  readonly messages: readonly WireMessage[];
  /** Whether `ready` told of a gap. */
  readonly told: boolean;
  /** When it began, in milliseconds since the Unix epoch. */
  readonly since: number;
}

interface OpenLeg {
  readonly stream: DeviceStream;
  readonly cursor: string;
  readonly since: number;
}

export class ModelDevice {
  readonly inboxes: readonly string[];
  #legs: OpenLeg[] = [];
  #open: OpenLeg | undefined;
  #cursor = '0';

  constructor(inboxes: readonly string[]) {
    this.inboxes = inboxes;
  }

  get isOpen(): boolean {
    return this.#open !== undefined;
  }

  /** Connects where the connection before ended. */
  async open(origin: string): Promise<void> {
    const query = this.inboxes.map((address) => `recipient=${encodeURIComponent(address)}`).join('&');
    const since = Date.now();
    const stream = await DeviceStream.open(origin, query, { lastEventId: this.#cursor });
    this.#open = { stream, cursor: this.#cursor, since };
    this.#legs.push(this.#open);
    await stream.waitFor('ready');
  }

  /** Breaks the connection, wherever it is. */
  cut(): void {
    if (this.#open === undefined) return;
    this.#open.stream.cut();
    this.#leave();
  }

  /** Waits for the end of a connection that the service has ended. */
  async ended(): Promise<void> {
    if (this.#open === undefined) return;
    await this.#open.stream.waitForEnd();
    this.#leave();
  }

  /** Whether it has come to the newest message that is certainly for it. */
  has(model: Model): boolean {
    const now = Date.now();
    const newest = model
      .inInboxes(this.inboxes)
      .findLast((message) => model.sight(message, { from: now, to: now + 1000 }) === 'there');
    const open = this.#open;
    if (open === undefined) return false;
    if (open.stream.find('bye') !== undefined)
      throw new Error(`the stream ended: ${open.stream.raw.slice(-300)}`);
    return open.stream.find('live') !== undefined && positionOf(open) >= (newest?.id ?? 0);
  }

  /** Returns what came on each connection since the last call. An open one is ended, at a frame's end. */
  take(): Leg[] {
    this.cut();
    const legs = this.#legs.map((leg): Leg => {
      const gap = leg.stream.gap;
      if (gap !== undefined && gap !== false && gap !== 'purged')
        throw new Error(`the cursor ${leg.cursor} is not known: ${JSON.stringify(gap)}`);
      const { messages } = leg.stream;
      return {
        inboxes: this.inboxes,
        from: idOf(leg.cursor),
        through: positionOf(leg),
        messages,
        told: gap === 'purged',
        since: leg.since,
      };
    });
    this.#legs = [];
    return legs;
  }

  #leave(): void {
    if (this.#open !== undefined) this.#cursor = this.#open.stream.cursor ?? this.#cursor;
    this.#open = undefined;
  }
}

function positionOf({ stream, cursor }: OpenLeg): number {
  return idOf(stream.cursor ?? cursor);
}
