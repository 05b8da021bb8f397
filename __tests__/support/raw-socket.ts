/** A WebSocket client on a bare socket: it writes frames byte by byte, answers nothing by itself, and can take nothing. */
import { createHash } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import type { StreamEvent } from './device.ts';
import { until } from './until.ts';

const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';

export const TEXT = 0x1;
export const BINARY = 0x2;
export const CLOSE = 0x8;
export const PING = 0x9;
export const PONG = 0xa;

/** A frame as it came. */
export interface Frame {
  /** The first byte: FIN, the reserved bits and the opcode. */
  readonly first: number;
  readonly payload: Buffer;
  /** All of it. */
  readonly bytes: Buffer;
}

export interface RawSocketOptions {
  readonly headers?: Readonly<Record<string, string>>;
  /** Takes nothing until `wake`. */
  readonly asleep?: boolean;
  readonly allowHalfOpen?: boolean;
  /** Sent behind the handshake in the same packet. */
  readonly behind?: Uint8Array;
}

/** The bytes of a handshake. */
export function handshakeBytes(path: string, headers: Readonly<Record<string, string>> = {}): string {
  const all = {
    Host: '127.0.0.1',
    Connection: 'Upgrade',
    Upgrade: 'websocket',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': KEY,
    ...headers,
  };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return `GET ${path} HTTP/1.1\r\n${lines.join('')}\r\n`;
}

/** What a server has to answer to the key of `handshakeBytes` (RFC 6455 §4.2.2). */
export const ACCEPT = createHash('sha1')
  .update(`${KEY}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
  .digest('base64');

/** A frame of a client. @param first FIN, the reserved bits and the opcode */
export function clientFrame(first: number, payload: Uint8Array | string, mask = [1, 2, 3, 4]): Buffer {
  const data = Buffer.from(payload);
  const length =
    data.length <= 125
      ? Buffer.from([0x80 | data.length])
      : data.length <= 0xffff
        ? Buffer.from([0x80 | 126, data.length >> 8, data.length & 0xff])
        : Buffer.concat([Buffer.from([0x80 | 127, 0, 0, 0, 0]), uint32(data.length)]);
  const masked = data.map((byte, index) => byte ^ (mask[index % 4] ?? 0));
  return Buffer.concat([Buffer.from([first]), length, Buffer.from(mask), masked]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** Takes the first frame of a server out of bytes; `undefined` where it is not all there. */
export function readFrame(bytes: Buffer): Frame | undefined {
  const [first, second] = bytes;
  if (first === undefined || second === undefined) return undefined;
  if (second >= 0x80) throw new Error('a masked frame of the server');
  const header = second <= 125 ? 2 : second === 126 ? 4 : 10;
  if (bytes.length < header) return undefined;
  const length =
    second <= 125 ? second : header === 4 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2));
  if (bytes.length < header + length) return undefined;
  return {
    first,
    payload: bytes.subarray(header, header + length),
    bytes: bytes.subarray(0, header + length),
  };
}

export class RawSocket {
  /** All frames but those of messages, which would be too many to keep. */
  readonly frames: Frame[] = [];
  /** The ids of the messages received, in the order in which they came. */
  readonly ids: number[] = [];
  /** What the server itself said. */
  readonly said: StreamEvent[] = [];
  /** The status line and the headers of the answer. */
  head = '';
  /** What came instead of frames, where the answer is not 101. */
  body = '';
  cursor: string | undefined;
  closed = false;
  readonly socket: Socket;
  #reads = false;
  #rest: Buffer = Buffer.alloc(0);

  private constructor(port: number, query: string, options: RawSocketOptions) {
    this.socket = connect({ port, host: '127.0.0.1', allowHalfOpen: options.allowHalfOpen ?? false });
    this.socket.on('close', () => (this.closed = true)).on('error', () => (this.closed = true));
    const handshake = Buffer.from(handshakeBytes(`/ws?${query}`, options.headers));
    this.socket.write(Buffer.concat([handshake, options.behind ?? Buffer.alloc(0)]));
    if (options.asleep !== true) this.wake();
  }

  /** Opens a socket; `query` is what follows `/ws?`. Settles when the request is out. */
  static async open(port: number, query: string, options: RawSocketOptions = {}): Promise<RawSocket> {
    const device = new RawSocket(port, query, options);
    await until(() => !device.socket.connecting && device.socket.writableLength === 0);
    return device;
  }

  /** Begins to take what comes. */
  wake(): void {
    if (!this.#reads) this.socket.on('data', (bytes: Buffer) => this.#take(bytes));
    this.#reads = true;
    this.socket.resume();
  }

  sleep(): void {
    this.socket.pause();
  }

  write(...frames: readonly Uint8Array[]): void {
    this.socket.write(Buffer.concat(frames));
  }

  async waitFor(event: string): Promise<StreamEvent> {
    await until(() => this.said.some((one) => one.event === event), `event ${event}`);
    return this.said.find((one) => one.event === event) as StreamEvent;
  }

  async waitForMessages(count: number): Promise<void> {
    await until(() => this.ids.length >= count, `${count} messages, of which ${this.ids.length} came`);
  }

  async waitForEnd(): Promise<void> {
    await until(() => this.closed, 'the end of the socket');
  }

  /** The frames of one opcode. */
  of(opcode: number): Frame[] {
    return this.frames.filter(({ first }) => (first & 0xf) === opcode);
  }

  /** The code of the close frame that came; `undefined` where none did. */
  get closeCode(): number | undefined {
    return this.of(CLOSE)[0]?.payload.readUInt16BE(0);
  }

  cut(): void {
    this.socket.destroy();
  }

  #take(bytes: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, bytes]);
    if (!this.head.startsWith('HTTP/1.1 ')) {
      const end = this.#rest.indexOf('\r\n\r\n');
      if (end === -1) return;
      this.head = this.#rest.subarray(0, end).toString();
      this.#rest = this.#rest.subarray(end + 4);
    }
    if (!this.head.startsWith('HTTP/1.1 101 ')) {
      this.body += this.#rest.toString();
      this.#rest = Buffer.alloc(0);
      return;
    }
    for (let frame = readFrame(this.#rest); frame !== undefined; frame = readFrame(this.#rest)) {
      this.#rest = this.#rest.subarray(frame.bytes.length);
      this.#note(frame);
    }
  }

  #note(frame: Frame): void {
    const text = frame.first === (0x80 | TEXT) ? frame.payload.toString() : '';
    // The id stands at the beginning of a message: a large content is not worth parsing.
    const [, cursor, id] = /^\{"event":"message","id":"([^"]+)","data":\{"id":(\d+),/.exec(text) ?? [];
    if (cursor !== undefined) {
      this.cursor = cursor;
      this.ids.push(Number(id));
      return;
    }
    this.frames.push(frame);
    if (text === '') return;
    const event = JSON.parse(text) as StreamEvent;
    if (event.id !== undefined) this.cursor = event.id;
    this.said.push(event);
  }
}
