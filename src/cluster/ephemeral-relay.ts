import type { EphemeralMessage } from '../message.ts';
import type { Bus } from './bus.ts';

/** Nodes that have not said by then how many devices took a message are not counted. */
const ANSWER_MILLISECONDS = 250;

/** A message whose publisher is to learn how many devices took it. */
interface Counted {
  devices: number;
  /** The nodes that have not answered. */
  readonly missing: Set<string>;
  readonly settle: () => void;
}

/** The options of a relay. */
export interface EphemeralRelayOptions {
  readonly bus: Bus;
  /** Returns the ids of the other nodes that are there. */
  readonly others: () => readonly string[];
  /** Dispatches a message to the devices of this node. @returns how many took it */
  readonly dispatchHere: (message: EphemeralMessage) => Promise<number>;
}

/** Brings messages that are not stored to the devices of other nodes, in the order in which they are sent. */
export class EphemeralRelay {
  readonly #options: EphemeralRelayOptions;
  readonly #counted = new Map<number, Counted>();
  #lastId = 0;

  constructor(options: EphemeralRelayOptions) {
    this.#options = options;
  }

  /**
   * Sends a message to the other nodes, also to those that this one has not heard yet. Does nothing if none can be reached.
   *
   * @returns how many devices took it, of the nodes that were heard and answer within 250 ms; 0 at once if that is not wanted
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

  /** Takes a message of another node, and answers it if it has an id. */
  async received(from: string, message: EphemeralMessage, id: number | undefined): Promise<void> {
    const { bus, dispatchHere } = this.#options;
    const devices = await dispatchHere(message);
    if (id !== undefined) bus.send({ kind: 'taken', of: from, id, devices });
  }

  /** Takes the answer of another node. Does nothing if it comes late, twice, or of a node that was not there. */
  taken(from: string, id: number, devices: number): void {
    const counted = this.#counted.get(id);
    if (counted?.missing.delete(from) !== true) return;
    counted.devices += devices;
    if (counted.missing.size === 0) counted.settle();
  }
}
