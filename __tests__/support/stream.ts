/** A device: an open stream, read as bytes from a socket of its own and parsed by an independent parser. */
import { get, type IncomingMessage } from 'node:http';
import { get as getSecurely } from 'node:https';
import { createParser } from 'eventsource-parser';
import type { WireMessage } from './api.ts';
import { until } from './until.ts';

/** One event as it came. */
export interface StreamEvent {
  /** `message` where the frame has no `event:` line. */
  readonly event: string;
  readonly id: string | undefined;
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- a test asserts on it field by field
  readonly data: any;
}

export interface StreamOptions {
  readonly lastEventId?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Who vouches for an origin by https. */
  readonly ca?: string;
}

export class DeviceStream {
  readonly events: StreamEvent[] = [];
  readonly retries: number[] = [];
  /** Everything received, as text. */
  raw = '';
  /** Whether the server has ended the stream, or it was cut. */
  closed = false;
  readonly response: IncomingMessage;

  private constructor(response: IncomingMessage) {
    this.response = response;
    const parser = createParser({
      onEvent: ({ event, id, data }) =>
        this.events.push({ event: event ?? 'message', id, data: JSON.parse(data) as unknown }),
      onRetry: (retry) => this.retries.push(retry),
      onError: (error) => {
        throw error;
      },
    });
    response.setEncoding('utf8');
    response.on('data', (text: string) => {
      this.raw += text;
      parser.feed(text);
    });
    response.on('close', () => (this.closed = true));
    response.on('error', () => (this.closed = true));
  }

  /** Opens a stream; `query` is what follows `/stream?`. Settles with the headers. */
  static open(origin: string, query: string, options: StreamOptions = {}): Promise<DeviceStream> {
    return new Promise((resolve, reject) => {
      const headers = {
        Accept: 'text/event-stream',
        ...(options.lastEventId === undefined ? {} : { 'Last-Event-ID': options.lastEventId }),
        ...options.headers,
      };
      const url = `${origin}/stream?${query}`;
      const take = (response: IncomingMessage): void => resolve(new DeviceStream(response));
      const sent = origin.startsWith('https:')
        ? getSecurely(url, { headers, agent: false, ca: options.ca }, take)
        : get(url, { headers, agent: false }, take);
      sent.on('error', reject);
    });
  }

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

  /** What `ready` says of a gap; `undefined` before it has come. */
  get gap(): unknown {
    return (this.find('ready')?.data as { gap: unknown } | undefined)?.gap;
  }

  /** The first event of a name, or `undefined`. */
  find(event: string): StreamEvent | undefined {
    return this.events.find((one) => one.event === event);
  }

  /** Waits for the first event of a name. */
  async waitFor(event: string): Promise<StreamEvent> {
    await until(() => this.find(event) !== undefined, `event ${event}`);
    return this.find(event) as StreamEvent;
  }

  /** Waits until so many messages have come. */
  async waitForMessages(count: number): Promise<WireMessage[]> {
    await until(() => this.messages.length >= count, `${count} messages, not ${this.messages.length}`);
    return this.messages;
  }

  /** Waits until the stream is over. */
  async waitForEnd(): Promise<void> {
    await until(() => this.closed, 'the end of the stream');
  }

  /** Cuts the connection from the device's side. */
  cut(): void {
    this.response.destroy();
  }
}
