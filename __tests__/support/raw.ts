/** Requests written byte by byte to a socket, for what an HTTP client would not send or would hide. */
import { connect, type Socket } from 'node:net';
import type { Answer } from './api.ts';

/** An answer with the head as it came. */
export interface RawAnswer extends Answer {
  /** The status line and the header lines, without the empty line that ends them. */
  readonly head: string;
  readonly text: string;
}

export interface RawRequest {
  readonly method?: string;
  /** The request target: a path with its query. */
  readonly path: string;
  readonly version?: string;
  /** Added to `Host`, `Connection: close` and, where there is a body, `Content-Length`. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
}

/** The bytes of a request. */
export function requestBytes({ method = 'GET', path, version = '1.1', headers, body }: RawRequest): Buffer {
  const all = {
    Host: '127.0.0.1',
    Connection: 'close',
    ...(body === undefined ? {} : { 'Content-Length': String(Buffer.byteLength(body)) }),
    ...headers,
  };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.concat([
    Buffer.from(`${method} ${path} HTTP/${version}\r\n${lines.join('')}\r\n`),
    Buffer.from(body ?? ''),
  ]);
}

/** Splits what came on a socket into head and body. */
function parse(received: Buffer): RawAnswer {
  const text = received.toString('utf8');
  const end = text.indexOf('\r\n\r\n');
  if (end < 0) throw new Error(`not an answer: ${JSON.stringify(text.slice(0, 500))}`);
  const [statusLine = '', ...lines] = text.slice(0, end).split('\r\n');
  const body = text.slice(end + 4);
  const headers = new Headers();
  for (const line of lines)
    headers.append(line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1));
  return {
    head: text.slice(0, end),
    text: body,
    status: Number(statusLine.split(' ')[1]),
    headers,
    body:
      (headers.get('content-type') ?? '').includes('json') && body !== ''
        ? (JSON.parse(body) as unknown)
        : undefined,
  };
}

/** Opens a socket, lets `write` write to it, and settles with all that comes until the server closes it. */
export async function exchange(port: number, write: (socket: Socket) => void): Promise<RawAnswer> {
  const received: Buffer[] = [];
  const socket = connect(port, '127.0.0.1', () => write(socket));
  socket.on('data', (bytes) => received.push(bytes));
  // A server that refuses a request may close before it has read all of it.
  socket.on('error', () => socket.destroy());
  await new Promise((resolve) => socket.on('close', resolve));
  return parse(Buffer.concat(received));
}

/** Sends a request and settles with the answer, once the server has closed the connection. */
export function rawRequest(port: number, request: RawRequest): Promise<RawAnswer> {
  return exchange(port, (socket) => socket.write(requestBytes(request)));
}

/** Publishes a body that is not necessarily JSON, or with a content type of one's own. */
export function rawPublish(
  port: number,
  body: string | Uint8Array,
  headers: Record<string, string> = {},
): Promise<RawAnswer> {
  return rawRequest(port, {
    method: 'POST',
    path: '/messages',
    headers: { 'Content-Type': 'application/json', ...headers },
    body,
  });
}

/** Publishes a form. */
export function rawForm(
  port: number,
  form: string,
  headers: Record<string, string> = {},
): Promise<RawAnswer> {
  return rawPublish(port, form, { 'Content-Type': 'application/x-www-form-urlencoded', ...headers });
}
