/** A device on a bare socket, which can stop reading, and keeps the ids of messages instead of messages. */
import type { Socket } from 'node:net';
import type { StreamEvent } from './device.ts';
import { until } from './until.ts';

export abstract class RawConnection {
  /** The ids of the messages received, in the order in which they came. */
  readonly ids: number[] = [];
  /** The events from the server itself. */
  readonly said: StreamEvent[] = [];
  /** The status line and the headers of the answer. */
  head = '';
  /** The last event id. */
  cursor: string | undefined;
  closed = false;
  readonly socket: Socket;
  #reads = false;

  protected constructor(socket: Socket) {
    this.socket = socket;
    socket.on('close', () => (this.closed = true)).on('error', () => (this.closed = true));
  }

  /** Sends the request and reads the answer, if the options do not forbid it. Settles when what is sent has left. */
  protected async begin(request: Uint8Array | string | undefined, asleep = false): Promise<this> {
    if (request !== undefined) this.socket.write(request);
    if (!asleep) this.wake();
    await until(() => !this.socket.connecting && this.socket.writableLength === 0, 'the request to leave');
    return this;
  }

  /** Takes the next bytes of the answer. */
  protected abstract take(bytes: Buffer): void;

  /** Notes an event from the server itself. */
  protected note(event: StreamEvent): void {
    if (event.id !== undefined) this.cursor = event.id;
    this.said.push(event);
  }

  /** Stops reading until `wake`. */
  sleep(): void {
    this.socket.pause();
  }

  /** Begins to read, or goes on. */
  wake(): void {
    if (!this.#reads) this.socket.on('data', (bytes: Buffer) => this.take(bytes));
    this.#reads = true;
    this.socket.resume();
  }

  /** Waits for the first event of a name from the server itself. */
  async waitFor(event: string): Promise<StreamEvent> {
    await until(() => this.said.some((one) => one.event === event), `event ${event}`);
    return this.said.find((one) => one.event === event) as StreamEvent;
  }

  /** Waits until so many messages have come. */
  async waitForMessages(count: number): Promise<void> {
    await until(() => this.ids.length >= count, `${count} messages, of which ${this.ids.length} came`);
  }

  /** Waits until the connection has ended. */
  async waitForEnd(): Promise<void> {
    await until(() => this.closed, 'the end of the connection');
  }

  /** Cuts the connection from the device's side. */
  cut(): void {
    this.socket.destroy();
  }
}
