/** A device with an open connection, and everything that it has received: the base of streams and sockets. */
import type { WireMessage } from './api.ts';
import { until } from './until.ts';

/** One event as it came. */
export interface StreamEvent {
  /** `message` if the frame has no `event:` line. */
  readonly event: string;
  readonly id: string | undefined;
  /** Parsed JSON of any form: a test asserts on it field by field. */
  readonly data: ReturnType<JSON['parse']>;
}

export abstract class Device<Event extends StreamEvent = StreamEvent> {
  readonly events: Event[] = [];

  /** Whether the server has ended the connection, or it was cut. */
  abstract get closed(): boolean;

  /** Cuts the connection from the device's side. */
  abstract cut(): void;

  /** The messages received so far, in the order in which they came. */
  get messages(): WireMessage[] {
    return this.events.filter(({ event }) => event === 'message').map(({ data }) => data as WireMessage);
  }

  /** The ids of the messages received so far. */
  get ids(): number[] {
    return this.messages.map(({ id }) => id);
  }

  /** The cursor that the device would come back with: the last event id. */
  get cursor(): string | undefined {
    return this.events.findLast(({ id }) => id !== undefined)?.id;
  }

  /** The field `gap` of `ready`; `undefined` before `ready` has come. */
  get gap(): unknown {
    return (this.find('ready')?.data as { gap: unknown } | undefined)?.gap;
  }

  /** Returns the first event of a name, or `undefined`. */
  find(event: string): Event | undefined {
    return this.events.find((one) => one.event === event);
  }

  /** Waits for the first event of a name. */
  async waitFor(event: string): Promise<Event> {
    await until(() => this.find(event) !== undefined, `event ${event}`);
    return this.find(event) as Event;
  }

  /** Waits until so many messages have come. */
  async waitForMessages(count: number): Promise<WireMessage[]> {
    await until(() => this.messages.length >= count, `${count} messages, not ${this.messages.length}`);
    return this.messages;
  }

  /** Waits until the connection has ended. */
  async waitForEnd(): Promise<void> {
    await until(() => this.closed, 'the end of the connection');
  }
}
