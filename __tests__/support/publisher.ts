/** A client that publishes one message after the other, and keeps what it was answered. */
import { type Answer, publish, type WireMessage } from './api.ts';

export class Publisher {
  /** The acknowledged messages. */
  readonly stored: WireMessage[] = [];
  /** The answers that refused a message. */
  readonly refusals: Answer[] = [];
  /** Contents of which nothing is known: the connection broke before there was an answer. */
  readonly unanswered: string[] = [];
  readonly #over: Promise<void>;
  #ending = false;

  /**
   * Begins, and goes on until `end`, or until a connection breaks.
   *
   * @param length of the contents, at least
   */
  constructor(origin: string, recipient: string, name = 'publisher', length = 0) {
    this.#over = this.#publishAll(origin, recipient, name, length);
  }

  /** Begins several at once. */
  static several(count: number, origin: string, recipient: string, length = 0): Publisher[] {
    return Array.from(
      { length: count },
      (_, index) => new Publisher(origin, recipient, `publisher ${index}`, length),
    );
  }

  /** Settles when it has ended by itself, since a connection broke. */
  get over(): Promise<void> {
    return this.#over;
  }

  /** Ends it when what is under way is answered. */
  async end(): Promise<void> {
    this.#ending = true;
    await this.#over;
  }

  async #publishAll(origin: string, recipient: string, name: string, length: number): Promise<void> {
    for (let count = 1; !this.#ending; count++) {
      const content = `${name}: ${count} `.padEnd(length, 'x');
      try {
        const answer = await publish(origin, { recipient, content });
        if (answer.status === 201) this.stored.push(answer.body as WireMessage);
        else this.refusals.push(answer);
      } catch {
        this.unanswered.push(content);
        return;
      }
    }
  }
}

/** Returns the acknowledged messages of several publishers, in the order of the log. */
export function storedBy(publishers: readonly Publisher[]): WireMessage[] {
  return publishers.flatMap(({ stored }) => stored).sort((one, other) => one.id - other.id);
}

/** Returns the refusals of several publishers. */
export function refusalsOf(publishers: readonly Publisher[]): Answer[] {
  return publishers.flatMap(({ refusals }) => refusals);
}
