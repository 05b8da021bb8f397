/** The laws of what a server says on a WebSocket: those of a stream's frames, and those of RFC 6455. */
import type { WireMessage } from './api.ts';
import { messagesOf } from './answer-law.ts';
import { FrameLaw } from './frame-law.ts';
import type { Person } from './persons.ts';
import { CLOSE, type Frame, PING, PONG, readFrame, TEXT } from './raw-socket.ts';
import type { SocketEvent } from './socket-device.ts';

const FIN = 0x80;
const FIELDS = new Set(['event', 'id', 'data', 'ref', 'retry']);

/** What came on a socket. */
export interface SocketReport {
  readonly faults: readonly string[];
  /** What was acknowledged to its client. */
  readonly published: readonly WireMessage[];
}

/** Looks at all that a server wrote behind its 101; the last frame may be cut. @param person `undefined` where none may be let in */
export function judgeSocket(received: Buffer, person: Person | undefined): SocketReport {
  const faults: string[] = [];
  const published: WireMessage[] = [];
  const law = person === undefined ? undefined : new FrameLaw({ reader: person, follows: () => true });
  let closed = false;
  let rest = received;
  for (let frame = readFrame(rest); frame !== undefined; frame = readFrame(rest)) {
    rest = rest.subarray(frame.bytes.length);
    if (closed) faults.push(`behind the close frame: ${frame.bytes.toString('hex', 0, 100)}`);
    closed ||= frame.first === (FIN | CLOSE);
    if ([CLOSE, PING, PONG].some((opcode) => frame.first === (FIN | opcode))) continue;
    const event = readEvent(frame);
    if (event === undefined) faults.push(`no message: ${frame.bytes.toString('latin1').slice(0, 200)}`);
    else if (event.event === 'published') published.push(...messagesOf(event.data));
    else if (event.event === 'refused') faults.push(...faultsOfRefusal(event));
    else if (law !== undefined) law.feed(asServerSentEvent(event));
    else if (event.event !== 'bye') faults.push(`without a good token: ${event.event}`);
  }
  return { faults: [...faults, ...(law?.faults ?? [])], published };
}

function readEvent({ first, payload }: Frame): SocketEvent | undefined {
  if (first !== (FIN | TEXT)) return undefined;
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(payload);
    const event = JSON.parse(text) as SocketEvent;
    return Object.keys(event).every((name) => FIELDS.has(name)) ? event : undefined;
  } catch {
    return undefined;
  }
}

function faultsOfRefusal({ data }: SocketEvent): string[] {
  const { type, title, status, detail } = data as Record<string, unknown>;
  const good =
    type === 'about:blank' &&
    typeof title === 'string' &&
    typeof detail === 'string' &&
    typeof status === 'number' &&
    status >= 400 &&
    status < 500;
  return good ? [] : [`no problem: ${JSON.stringify(data)}`];
}

/** The same as a frame of `/stream`, whose laws are its own. */
function asServerSentEvent({ event, id, retry, data }: SocketEvent): Buffer {
  const name = event === 'message' ? '' : `event: ${event}\n`;
  const fields = `${id === undefined ? '' : `id: ${id}\n`}${retry === undefined ? '' : `retry: ${retry}\n`}`;
  return Buffer.from(`${name}${fields}data: ${JSON.stringify(data)}\n\n`);
}
