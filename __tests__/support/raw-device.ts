/** A device with a stream on a bare socket, over HTTP/1.1 or HTTP/1.0. */
import { connect } from 'node:net';
import { StringDecoder } from 'node:string_decoder';
import { createParser, type EventSourceMessage } from 'eventsource-parser';
import { RawConnection } from './raw-connection.ts';

export interface RawOptions {
  readonly lastEventId?: string;
  /** Reads nothing until `wake`. */
  readonly asleep?: boolean;
  /** Sends nothing until `request`. */
  readonly silent?: boolean;
  readonly httpVersion?: '1.0' | '1.1';
}

export class RawDevice extends RawConnection {
  readonly #request: string;
  readonly #decoder = new StringDecoder();
  readonly #parser = createParser({ onEvent: (event) => this.#takeEvent(event) });
  #isHeadRead = false;

  private constructor(port: number, query: string, options: RawOptions) {
    super(connect(port, '127.0.0.1'));
    const lines = [
      `GET /stream?${query} HTTP/${options.httpVersion ?? '1.1'}`,
      `Host: 127.0.0.1:${port}`,
      'Accept: text/event-stream',
      ...(options.lastEventId === undefined ? [] : [`Last-Event-ID: ${options.lastEventId}`]),
    ];
    this.#request = `${lines.join('\r\n')}\r\n\r\n`;
  }

  /** Opens a stream; `query` is the part after `/stream?`. Settles when the request has left. */
  static open(port: number, query: string, options: RawOptions = {}): Promise<RawDevice> {
    const device = new RawDevice(port, query, options);
    return device.begin(options.silent === true ? undefined : device.#request, options.asleep);
  }

  /** Sends the request of a device that was opened silent. */
  request(): void {
    this.socket.write(this.#request);
  }

  protected override take(bytes: Buffer): void {
    const text = this.#decoder.write(bytes);
    if (this.#isHeadRead) {
      this.#parser.feed(text);
      return;
    }
    this.head += text;
    const end = this.head.indexOf('\r\n\r\n');
    if (end === -1) return;
    this.#isHeadRead = true;
    this.#parser.feed(this.head.slice(end + 4));
    this.head = this.head.slice(0, end);
  }

  #takeEvent({ event, id, data }: EventSourceMessage): void {
    if (event !== undefined) {
      this.note({ event, id, data: JSON.parse(data) as unknown });
      return;
    }
    if (id !== undefined) this.cursor = id;
    // Large contents are not worth parsing, and the id is at the beginning.
    this.ids.push(Number(/^\{"id":(\d+),/.exec(data)?.[1]));
  }
}
