/** A device over WebSocket, as a program has one: with the client of the `ws` package. */
import type { IncomingMessage } from 'node:http';
import { WebSocket } from 'ws';
import type { Answer } from './api.ts';
import { Device, type StreamEvent } from './device.ts';
import type { StreamOptions } from './stream.ts';
import { until } from './until.ts';

export interface SocketEvent extends StreamEvent {
  readonly ref?: string;
  readonly retry?: number;
}

/** How the server closed. */
export interface Closed {
  readonly code: number;
  readonly reason: string;
}

export class SocketDevice extends Device<SocketEvent> {
  /** Every message as it came. */
  readonly texts: string[] = [];
  /** How it was closed; `undefined` while it is open. */
  close: Closed | undefined;
  readonly socket: WebSocket;

  private constructor(socket: WebSocket) {
    super();
    this.socket = socket;
    socket.on('message', (data: Buffer, isBinary) => {
      if (isBinary) throw new Error('a binary message');
      this.texts.push(data.toString());
      this.events.push(JSON.parse(data.toString()) as SocketEvent);
    });
    socket.on('close', (code, reason) => (this.close = { code, reason: reason.toString() }));
    socket.on('error', () => undefined);
  }

  /** Opens a socket; `query` is the part after `/ws?`. Settles when it is open; fails if it is refused. */
  static async open(origin: string, query: string, options: StreamOptions = {}): Promise<SocketDevice> {
    const device = SocketDevice.#connect(origin, query, options);
    await until(
      () => device.socket.readyState === WebSocket.OPEN || device.close !== undefined,
      'an open socket',
    );
    // It may be closed by the server at once.
    if (device.close?.code === 1006) throw new Error('the handshake failed');
    return device;
  }

  /** Asks for a socket that is to be refused, and gives the answer. */
  static async refused(origin: string, query: string, options: StreamOptions = {}): Promise<Answer> {
    const { socket } = SocketDevice.#connect(origin, query, options);
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      socket.on('unexpected-response', (_request, answer: IncomingMessage) => resolve(answer));
      socket.on('open', () => reject(new Error('it was let in')));
      socket.on('error', reject);
    });
    let text = '';
    for await (const chunk of response.setEncoding('utf8')) text += String(chunk);
    const headers = new Headers();
    for (const [name, values = []] of Object.entries(response.headersDistinct)) {
      for (const value of values) headers.append(name, value);
    }
    return { status: response.statusCode ?? 0, headers, body: JSON.parse(text) as unknown };
  }

  static #connect(origin: string, query: string, { headers, lastEventId, ca }: StreamOptions): SocketDevice {
    return new SocketDevice(
      new WebSocket(`${origin.replace('http', 'ws')}/ws?${query}`, {
        perMessageDeflate: false,
        ca,
        headers: { ...headers, ...(lastEventId === undefined ? {} : { 'Last-Event-ID': lastEventId }) },
      }),
    );
  }

  override get closed(): boolean {
    return this.close !== undefined;
  }

  get retries(): number[] {
    return this.events.flatMap(({ retry }) => retry ?? []);
  }

  /** Sends a message: text as it is, anything else as JSON. */
  say(message: unknown): void {
    this.socket.send(typeof message === 'string' ? message : JSON.stringify(message));
  }

  /** Publishes, and waits for what is said back. */
  async publish(draft: unknown, ref: string): Promise<SocketEvent> {
    this.say({ publish: draft, ref });
    return this.answerTo(ref);
  }

  /** Waits for the answer to a publish. */
  async answerTo(ref: string): Promise<SocketEvent> {
    await until(() => this.events.some((event) => event.ref === ref), `an answer to ${ref}`);
    return this.events.find((event) => event.ref === ref) as SocketEvent;
  }

  override cut(): void {
    this.socket.terminate();
  }
}
