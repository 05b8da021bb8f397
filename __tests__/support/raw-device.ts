/** A device on a bare socket: it can take nothing, speak HTTP/1.0, and keeps ids instead of messages. */
import { connect, type Socket } from 'node:net';
import { createParser } from 'eventsource-parser';
import type { StreamEvent } from './device.ts';
import { until } from './until.ts';

export interface RawOptions {
  readonly lastEventId?: string;
  /** Takes nothing until `wake`. */
  readonly asleep?: boolean;
  /** Sends nothing until `request`. */
  readonly silent?: boolean;
  readonly httpVersion?: '1.0' | '1.1';
}

export class RawDevice {
  /** The ids of the messages received, in the order in which they came. */
  readonly ids: number[] = [];
  /** What the server itself said. */
  readonly said: StreamEvent[] = [];
  /** The status line and the headers. */
  head = '';
  cursor: string | undefined;
  closed = false;
  readonly socket: Socket;
  readonly #request: string;
  #reads = false;

  private constructor(port: number, query: string, options: RawOptions) {
    const lines = [
      `GET /stream?${query} HTTP/${options.httpVersion ?? '1.1'}`,
      `Host: 127.0.0.1:${port}`,
      'Accept: text/event-stream',
      ...(options.lastEventId === undefined ? [] : [`Last-Event-ID: ${options.lastEventId}`]),
    ];
    this.#request = `${lines.join('\r\n')}\r\n\r\n`;
    this.socket = connect(port, '127.0.0.1').setEncoding('utf8');
    this.socket.on('close', () => (this.closed = true)).on('error', () => (this.closed = true));
    if (options.silent !== true) this.request();
    if (options.asleep !== true) this.wake();
  }

  /** Opens a stream; `query` is what follows `/stream?`. Settles when the request is out. */
  static async open(port: number, query: string, options: RawOptions = {}): Promise<RawDevice> {
    const device = new RawDevice(port, query, options);
    await until(() => !device.socket.connecting && device.socket.writableLength === 0);
    return device;
  }

  request(): void {
    this.socket.write(this.#request);
  }

  /** Takes nothing until `wake`. */
  sleep(): void {
    this.socket.pause();
  }

  /** Begins to take what comes, or goes on with it. */
  wake(): void {
    if (this.#reads) {
      this.socket.resume();
      return;
    }
    this.#reads = true;
    const parser = createParser({
      onEvent: ({ event, id, data }) => {
        if (id !== undefined) this.cursor = id;
        // The id stands at the beginning of a message: a large content is not worth parsing.
        if (event === undefined) this.ids.push(Number(/^\{"id":(\d+),/.exec(data)?.[1]));
        else this.said.push({ event, id, data: JSON.parse(data) as unknown });
      },
    });
    let body = false;
    this.socket.on('data', (chunk: unknown) => {
      const text = chunk as string;
      if (body) {
        parser.feed(text);
        return;
      }
      this.head += text;
      const end = this.head.indexOf('\r\n\r\n');
      if (end === -1) return;
      body = true;
      parser.feed(this.head.slice(end + 4));
      this.head = this.head.slice(0, end);
    });
  }

  /** Waits until the server has said something. */
  async waitFor(event: string): Promise<StreamEvent> {
    await until(() => this.said.some((one) => one.event === event), `event ${event}`);
    return this.said.find((one) => one.event === event) as StreamEvent;
  }

  /** Waits until so many messages have come. */
  async waitForMessages(count: number): Promise<void> {
    await until(() => this.ids.length >= count, `${count} messages, of which ${this.ids.length} came`);
  }

  async waitForEnd(): Promise<void> {
    await until(() => this.closed, 'the end of the stream');
  }

  cut(): void {
    this.socket.destroy();
  }
}
