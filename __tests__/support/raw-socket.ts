/** A WebSocket client on a bare socket. It writes frames byte by byte, and answers nothing by itself. */
import { createHash } from 'node:crypto';
import { connect } from 'node:net';
import type { StreamEvent } from './device.ts';
import { RawConnection } from './raw-connection.ts';

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
  /** Reads nothing until `wake`. */
  readonly asleep?: boolean;
  readonly allowHalfOpen?: boolean;
  /** Sent behind the handshake in the same packet. */
  readonly behind?: Uint8Array;
}

/** Returns the bytes of a handshake. */
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

/** The answer that a server owes to the key of `handshakeBytes` (RFC 6455 §4.2.2). */
export const ACCEPT = createHash('sha1')
  .update(`${KEY}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
  .digest('base64');

/** Returns a frame of a client. @param first FIN, the reserved bits and the opcode */
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

/**
 * Returns the first frame of a server in some bytes.
 *
 * @returns the number of bytes that it takes, as far as they tell, if it is not complete
 */
export function readFrame(bytes: Buffer): Frame | number {
  const [first, second] = bytes;
  if (first === undefined || second === undefined) return 2;
  if (second >= 0x80) throw new Error('a masked frame of the server');
  const header = second <= 125 ? 2 : second === 126 ? 4 : 10;
  if (bytes.length < header) return header;
  const length =
    second <= 125 ? second : header === 4 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2));
  const end = header + length;
  if (bytes.length < end) return end;
  return { first, payload: bytes.subarray(header, end), bytes: bytes.subarray(0, end) };
}

export class RawSocket extends RawConnection {
  /** All frames but those of messages, which would be too many to keep. */
  readonly frames: Frame[] = [];
  /** The body of an answer other than 101. */
  body = '';
  readonly #chunks: Buffer[] = [];
  /** The number of bytes that have come and are not read, and of those that the next step needs. */
  #unread = 0;
  #needed = 0;

  /** Opens a socket; `query` is the part after `/ws?`. Settles when the request has left. */
  static open(port: number, query: string, options: RawSocketOptions = {}): Promise<RawSocket> {
    const { allowHalfOpen = false, headers, behind = Buffer.alloc(0), asleep } = options;
    const device = new RawSocket(connect({ port, host: '127.0.0.1', allowHalfOpen }));
    const handshake = Buffer.from(handshakeBytes(`/ws?${query}`, headers));
    return device.begin(Buffer.concat([handshake, behind]), asleep);
  }

  write(...frames: readonly Uint8Array[]): void {
    this.socket.write(Buffer.concat(frames));
  }

  /** Returns the frames of one opcode. */
  of(opcode: number): Frame[] {
    return this.frames.filter(({ first }) => (first & 0xf) === opcode);
  }

  /** The code of the close frame that came; `undefined` if there was none. */
  get closeCode(): number | undefined {
    return this.of(CLOSE)[0]?.payload.readUInt16BE(0);
  }

  protected override take(bytes: Buffer): void {
    this.#chunks.push(bytes);
    this.#unread += bytes.length;
    // Joining at each chunk would copy a large frame once for each of its chunks.
    if (this.#unread < this.#needed) return;
    const rest = this.#read(Buffer.concat(this.#chunks.splice(0)));
    this.#chunks.push(rest);
    this.#unread = rest.length;
  }

  /** Takes what is complete. @returns the rest */
  #read(bytes: Buffer): Buffer {
    let rest = bytes;
    if (this.head === '') {
      const end = rest.indexOf('\r\n\r\n');
      if (end === -1) return rest;
      this.head = rest.subarray(0, end).toString();
      rest = rest.subarray(end + 4);
    }
    if (!this.head.startsWith('HTTP/1.1 101 ')) {
      this.body += rest.toString();
      return Buffer.alloc(0);
    }
    let frame = readFrame(rest);
    for (; typeof frame !== 'number'; frame = readFrame(rest)) {
      rest = rest.subarray(frame.bytes.length);
      this.#takeFrame(frame);
    }
    this.#needed = frame;
    return rest;
  }

  #takeFrame(frame: Frame): void {
    const text = frame.first === (0x80 | TEXT) ? frame.payload.toString() : '';
    // Large contents are not worth parsing, and the id is at the beginning.
    const [, cursor, id] = /^\{"event":"message","id":"([^"]+)","data":\{"id":(\d+),/.exec(text) ?? [];
    if (cursor !== undefined) {
      this.cursor = cursor;
      this.ids.push(Number(id));
      return;
    }
    this.frames.push(frame);
    if (text !== '') this.note(JSON.parse(text) as StreamEvent);
  }
}
