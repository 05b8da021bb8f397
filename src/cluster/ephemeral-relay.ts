import type { EphemeralMessage } from '../message.ts';
import type { Bus } from './bus.ts';

/** The time in which other nodes must report how many devices took a message, or they are not counted. */
const ANSWER_MILLISECONDS = 250;

/** A message whose publisher waits for the number of devices that took it. */
interface Counted {
  devices: number;
  /** The nodes that have not answered yet. */
  readonly missing: Set<string>;
  readonly settle: () => void;
}

/** The options of a relay. */
export interface EphemeralRelayOptions {
  readonly bus: Bus;
  /** Returns the ids of the other live nodes. */
  readonly others: () => readonly string[];
  /** Dispatches a message to the devices of this node. @returns the number of devices that took it */
  readonly dispatchHere: (message: EphemeralMessage) => Promise<number>;
}

/** Relays ephemeral messages to the devices of other nodes, in the order in which they are sent. */
export class EphemeralRelay {
  readonly #options: EphemeralRelayOptions;
  readonly #counted = new Map<number, Counted>();
  #lastId = 0;

  constructor(options: EphemeralRelayOptions) {
    this.#options = options;
  }

  /**
   * Sends a message to the other nodes, including any that this one has not heard from yet. Does nothing if the bus is
   * disconnected.
   *
   * @returns the number of devices that took it, on known nodes that answer within 250 ms; 0 at once if it is not
   *   counted
   */
  async send(message: EphemeralMessage, isCounted: boolean): Promise<number> {
    const { bus, others } = this.#options;
    const missing = new Set(others());
    const id = ++this.#lastId;
    const isSent = bus.send({ kind: 'ephemeral', ...(isCounted ? { id } : {}), message });
    if (!isCounted || !isSent || missing.size === 0) return 0;
    return new Promise((resolve) => {
      const settle = (): void => {
        clearTimeout(timer);
        this.#counted.delete(id);
        resolve(counted.devices);
      };
      const counted = { devices: 0, missing, settle };
      const timer = setTimeout(settle, ANSWER_MILLISECONDS);
      this.#counted.set(id, counted);
    });
  }

  /** Handles a message of another node, and answers it if it has an id. */
  async received(from: string, message: EphemeralMessage, id: number | undefined): Promise<void> {
    const { bus, dispatchHere } = this.#options;
    const devices = await dispatchHere(message);
    if (id !== undefined) bus.send({ kind: 'taken', of: from, id, devices });
  }

  /**
   * Handles the answer of another node. Does nothing if it comes late, twice, or from a node that was not expected to
   * answer.
   */
  taken(from: string, id: number, devices: number): void {
    const counted = this.#counted.get(id);
    if (counted?.missing.delete(from) !== true) return;
    counted.devices += devices;
    if (counted.missing.size === 0) counted.settle();
  }
}
