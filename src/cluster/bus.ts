import type { EntryAddress } from '../log/order/entry-codec.ts';
import { type BusMessage, decodeBusMessage, encodeBusMessage, openingOf } from './bus-message.ts';

/** One subject of a messaging system that loses messages when a connection breaks, and keeps none. */
export interface BusLine {
  /** Whether it can be used now, as far as it is known. */
  readonly isConnected: boolean;
  /** Sends bytes to all who listen, this node among them. @throws {Error} if it cannot */
  publish(bytes: Uint8Array): void;
  /** Calls back for all that is sent from now on. @returns a function that ends that */
  subscribe(onBytes: (bytes: Uint8Array) => void): () => void;
}

/** Takes a message of another node. */
export type BusListener = (from: string, message: BusMessage) => void;

/** The messages of the bus since the start. */
export interface BusCounts {
  sent: number;
  received: number;
  /** Messages that are none of this version of Tidings. */
  malformed: number;
  /** Messages of another log, or of another generation of its stream. */
  foreign: number;
  /** Messages that say more of nodes or devices than is kept: heartbeats of further nodes, devices of further addresses. */
  ignored: number;
}

/**
 * The bus of a cluster: what nodes tell each other that no log has to keep. All of it is on one subject, and each node takes
 * what concerns it: a subscription for each address would take seconds after every lost connection.
 */
export class Bus {
  /** The name of this node among the others: random for each start. */
  readonly id: string;
  readonly counts: BusCounts = { sent: 0, received: 0, malformed: 0, foreign: 0, ignored: 0 };
  readonly #line: BusLine;
  readonly #log: string;
  readonly #own: Buffer;

  constructor(line: BusLine, id: string, { logId, generation }: EntryAddress) {
    this.#line = line;
    this.id = id;
    this.#log = `${logId}/${generation}`;
    this.#own = openingOf(id);
  }

  /** Whether messages reach others, as far as it is known. */
  get isConnected(): boolean {
    return this.#line.isConnected;
  }

  /** Sends a message to all other nodes. Nothing says whether it arrives. @returns whether it was sent */
  send(message: BusMessage): boolean {
    if (!this.#line.isConnected) return false;
    try {
      this.#line.publish(encodeBusMessage(this.id, this.#log, message));
    } catch {
      // The connection was closed at this moment.
      return false;
    }
    this.counts.sent++;
    return true;
  }

  /** Calls back for each message of another node of this log. @returns a function that ends that */
  listen(listener: BusListener): () => void {
    return this.#line.subscribe((bytes) => {
      if (this.#own.equals(bytes.subarray(0, this.#own.length))) return;
      const received = decodeBusMessage(bytes);
      if (received === undefined) {
        this.counts.malformed++;
      } else if (received.from === this.id) {
        // Somebody else sends under its name: this node's own messages do not come so far.
        return;
      } else if (received.log !== this.#log) {
        this.counts.foreign++;
      } else {
        this.counts.received++;
        listener(received.from, received.message);
      }
    });
  }
}
