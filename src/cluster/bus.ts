import type { EntryAddress } from '../log/order/entry-codec.ts';
import { type BusMessage, decodeBusMessage, encodeBusMessage, openingOf } from './bus-message.ts';

/** One subject of a messaging system that stores no messages, and loses some when a connection breaks. */
export interface BusLine {
  /** Whether it is connected now, as far as is known. */
  readonly isConnected: boolean;
  /** Sends bytes to all listeners, including this node. @throws {Error} if it cannot */
  publish(bytes: Uint8Array): void;
  /** Calls `onBytes` for everything sent from now on. @returns a function that unsubscribes */
  subscribe(onBytes: (bytes: Uint8Array) => void): () => void;
}

/** A callback for a message of another node. */
export type BusListener = (from: string, message: BusMessage) => void;

/** Counts of the bus's messages since the start. */
export interface BusCounts {
  sent: number;
  received: number;
  /** Messages that are not valid in this version of Tidings. */
  malformed: number;
  /** Messages of another log, or of another generation of this log's stream. */
  foreign: number;
  /** Messages beyond the limits on nodes and addresses: heartbeats of further nodes, devices of further addresses. */
  ignored: number;
}

/**
 * The bus of a cluster: messages between nodes that need not be stored. All use one subject, and each node handles
 * those that concern it. With a subscription for each address, every reconnect would take seconds.
 */
export class Bus {
  /** The random id of this node, new at each start. */
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

  /** Whether messages can reach other nodes, as far as is known. */
  get isConnected(): boolean {
    return this.#line.isConnected;
  }

  /** Sends a message to all other nodes, without confirmation. @returns whether it was sent */
  send(message: BusMessage): boolean {
    if (!this.#line.isConnected) return false;
    try {
      this.#line.publish(encodeBusMessage(this.id, this.#log, message));
    } catch {
      // The connection has just closed.
      return false;
    }
    this.counts.sent++;
    return true;
  }

  /** Calls `listener` for each message of another node of this log. @returns a function that stops it */
  listen(listener: BusListener): () => void {
    return this.#line.subscribe((bytes) => {
      if (this.#own.equals(bytes.subarray(0, this.#own.length))) return;
      const received = decodeBusMessage(bytes);
      if (received === undefined) {
        this.counts.malformed++;
      } else if (received.from === this.id) {
        // Somebody else is using this node's id: its own messages are filtered out above.
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
