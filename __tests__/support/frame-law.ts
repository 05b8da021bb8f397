/** The laws of a stream's bytes: looked at by the frames' own grammar and by an independent parser, which must agree. */
import { createParser } from 'eventsource-parser';
import type { WireMessage } from './api.ts';
import type { Person } from './persons.ts';

const FRAME =
  /^(?:event: ([a-z]+)\n)?(?:retry: (\d+)\n)?data: (\{[^\r\n]*\})(?:\nid: (0|(\d+)-[0-9a-z]{6}))?$/;
const SERVER_EVENTS = ['ready', 'live', 'heartbeat', 'presence', 'bye'];
const GAPS = [false, 'purged', 'restored', 'unknown'];
const REASONS = ['shutdown', 'token-expired', 'too-slow', 'over-limit', 'unavailable'];

/** The laws that the token and the query of a stream make. */
export interface StreamRights {
  readonly reader: Person;
  /** Whether a message belongs to the inboxes asked for; by default to those that the reader follows. */
  readonly follows?: (message: WireMessage) => boolean;
}

export class FrameLaw {
  readonly faults: string[] = [];
  /** The stored messages, with their JSON as it came. */
  readonly stored: { readonly message: WireMessage; readonly json: string }[] = [];
  readonly ephemeral: WireMessage[] = [];
  /** The names of the server's own events, in order. */
  readonly said: string[] = [];
  gap: unknown;
  cursor: string | undefined;
  lastId = 0;
  readonly #rights: StreamRights;
  readonly #decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  readonly #parsed: string[] = [];
  readonly #parser = createParser({
    onEvent: ({ event, id, data }) => this.#parsed.push(JSON.stringify([event, id, data])),
    onError: (error) => this.faults.push(`the parser: ${error.message}`),
    onComment: (comment) => this.faults.push(`a comment: ${comment}`),
  });
  #pending = '';

  constructor(rights: StreamRights) {
    this.#rights = rights;
  }

  feed(bytes: Buffer): void {
    let text: string;
    try {
      text = this.#decoder.decode(bytes, { stream: true });
    } catch {
      this.faults.push('not UTF-8');
      return;
    }
    this.#parser.feed(text);
    const frames = (this.#pending + text).split('\n\n');
    this.#pending = frames.pop() ?? '';
    for (const frame of frames) this.#take(frame);
    if (this.#parsed.length > 0) this.faults.push(`the parser alone sees ${this.#parsed.splice(0).join()}`);
  }

  #take(frame: string): void {
    const [, event, retry, data, id, number] = FRAME.exec(frame) ?? [];
    const fault = (what: string): void => void this.faults.push(`${what}: ${JSON.stringify(frame)}`);
    if (data === undefined) {
      fault('no frame');
      return;
    }
    if (this.#parsed.shift() !== JSON.stringify([event, id, data])) fault('the parser sees another event');
    if ((retry !== undefined) !== (event === 'ready' || event === 'bye')) fault('retry');
    if (id !== undefined) this.cursor = id;
    let parsed: Record<string, unknown>;
    try {
      parsed = JSON.parse(data) as Record<string, unknown>;
    } catch {
      fault('no JSON');
      return;
    }
    if (this.said.length === 0 && event !== 'ready' && event !== 'bye') fault('before ready');
    if (this.said.includes('bye')) fault('after bye');
    if (event === undefined) this.#takeMessage(parsed as unknown as WireMessage, number, data, fault);
    else this.#takeServerEvent(event, id, parsed, fault);
  }

  #takeMessage(
    message: WireMessage,
    number: string | undefined,
    json: string,
    fault: (what: string) => void,
  ): void {
    const { reader, follows = (one: WireMessage) => reader.follows(one) } = this.#rights;
    if (typeof message.type !== 'string' || typeof message.sender !== 'string') fault('no message');
    if (!reader.mayRead(message)) fault(`not for ${reader.name}`);
    if (!follows(message)) fault(`not in the inboxes of ${reader.name}`);
    if (number === undefined) {
      if ('id' in message) fault('an id in data alone');
      this.ephemeral.push(message);
      return;
    }
    if (message.id !== Number(number)) fault('two ids');
    if (message.id <= this.lastId) fault(`after ${this.lastId}`);
    this.lastId = message.id;
    this.stored.push({ message, json });
  }

  #takeServerEvent(
    event: string,
    id: string | undefined,
    data: Record<string, unknown>,
    fault: (what: string) => void,
  ): void {
    const once = event === 'ready' || event === 'live';
    if (!SERVER_EVENTS.includes(event)) fault('an unknown event');
    if (data['type'] !== event) fault('another type');
    if (once && this.said.includes(event)) fault('twice');
    if (once && (id === undefined || data['cursor'] !== id)) fault('another cursor');
    if ((event === 'heartbeat' || event === 'presence') && id !== undefined) fault('an id');
    if (event === 'ready' && !GAPS.includes(data['gap'] as string)) fault('an unknown gap');
    if (event === 'bye' && !REASONS.includes(data['reason'] as string)) fault('an unknown reason');
    if (event === 'presence' && !this.#rights.reader.maySee(data['recipient'] as string))
      fault('not to be seen');
    if (event === 'ready') this.gap = data['gap'];
    this.said.push(event);
  }
}
