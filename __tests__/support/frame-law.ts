/** The laws of a stream's bytes: that of the wire, an independent parser, which must agree, and rights on top of both. */
import { createParser } from 'eventsource-parser';
import type { WireMessage } from './api.ts';
import type { Person } from './persons.ts';
import { type WireEvent, StreamLaw } from './wire-law.js';

/** The laws that the token and the query of a stream make. */
export interface StreamRights {
  readonly reader: Person;
  /** Whether a message belongs to the inboxes asked for; by default to those that the reader follows. */
  readonly follows?: (message: WireMessage) => boolean;
}

/** The messages that a reader may see on a stream, and those that it has seen. */
export class RightsLaw {
  readonly faults: string[] = [];
  /** The stored messages, with their JSON as it was acknowledged. */
  readonly stored: { readonly message: WireMessage; readonly json: string }[] = [];
  /** The names of the server's own events, in order. */
  readonly said: string[] = [];
  gap: unknown;
  cursor: string | undefined;
  lastId = 0;
  readonly #rights: StreamRights;

  constructor(rights: StreamRights) {
    this.#rights = rights;
  }

  take({ event, id, data }: WireEvent): void {
    if (id !== undefined) this.cursor = id;
    if (event === 'message') {
      this.#takeMessage(data as unknown as WireMessage, id);
      return;
    }
    this.said.push(event);
    if (event === 'ready') this.gap = data['gap'];
    const { reader } = this.#rights;
    if (event === 'presence' && !reader.maySee(data['recipient'] as string))
      this.faults.push(`${reader.name} is not to see ${JSON.stringify(data)}`);
  }

  #takeMessage(message: WireMessage, id: string | undefined): void {
    const { reader, follows = (one: WireMessage) => reader.follows(one) } = this.#rights;
    const json = JSON.stringify(message);
    if (!reader.mayRead(message)) this.faults.push(`not for ${reader.name}: ${json}`);
    if (!follows(message)) this.faults.push(`not in the inboxes of ${reader.name}: ${json}`);
    if (id === undefined) return;
    // Over all connections of a reader; on one the law of the wire sees to it.
    if (message.id <= this.lastId) this.faults.push(`after ${this.lastId}: ${json}`);
    this.lastId = message.id;
    this.stored.push({ message, json });
  }
}

export class FrameLaw extends RightsLaw {
  readonly #wire: StreamLaw;
  readonly #seen: string[] = [];
  readonly #parsed: string[] = [];
  readonly #decoder = new TextDecoder();
  readonly #parser = createParser({
    onEvent: ({ event = 'message', id, data }) => this.#parsed.push(JSON.stringify([event, id, data])),
    onError: (error) => this.faults.push(`the parser: ${error.message}`),
    onComment: (comment) => this.faults.push(`a comment: ${comment}`),
  });

  constructor(rights: StreamRights) {
    super(rights);
    this.#wire = new StreamLaw(undefined, (said) => {
      this.#seen.push(JSON.stringify([said.event, said.id, said.json]));
      this.take(said);
    });
  }

  feed(bytes: Buffer): void {
    this.#wire.feed(bytes);
    this.faults.push(...this.#wire.faults.splice(0));
    this.#parser.feed(this.#decoder.decode(bytes, { stream: true }));
    const [seen, parsed] = [this.#seen.splice(0).join('\n'), this.#parsed.splice(0).join('\n')];
    if (seen !== parsed) this.faults.push(`the parser sees ${parsed}, not ${seen}`);
  }
}
