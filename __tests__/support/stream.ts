/** A device: an open stream, read as bytes from a socket of its own and parsed by an independent parser. */
import { get, type IncomingMessage } from 'node:http';
import { get as getSecurely } from 'node:https';
import { createParser } from 'eventsource-parser';
import { Device } from './device.ts';

export interface StreamOptions {
  readonly lastEventId?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** The certificate authority of an origin by https. */
  readonly ca?: string;
}

export class DeviceStream extends Device {
  readonly retries: number[] = [];
  /** Everything received, as text. */
  raw = '';
  #closed = false;
  readonly response: IncomingMessage;

  private constructor(response: IncomingMessage) {
    super();
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
    response.on('close', () => (this.#closed = true));
    response.on('error', () => (this.#closed = true));
  }

  /** Opens a stream; `query` is the part after `/stream?`. Settles with the headers. */
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

  override get closed(): boolean {
    return this.#closed;
  }

  override cut(): void {
    this.response.destroy();
  }
}
