import type { Devices } from './bus-message.ts';

/**
 * The maximum number of addresses kept for one node, and for all nodes. Further ones are ignored until they are
 * reported again when there is room.
 */
const MAX_OF_NODE = 100_000;
export const MAX_OF_ALL = 500_000;

/** The number of addresses kept for all nodes together. */
export interface AddressRoom {
  taken: number;
}

/** The devices of another node, by address. */
export class RemoteDevices {
  /** The number of the newest message. */
  number = 0;
  /** Whether a full report is in progress. */
  isBeingTold = false;
  /** Whether every message up to `number` has arrived, or a full report since. */
  isComplete = false;
  /** The `performance.now()` at which the node was last asked. */
  askedAt = -Infinity;
  readonly #room: AddressRoom;
  #devices = new Map<string, number>();
  /** During a full report: earlier devices that it has not mentioned yet. */
  #unnamed = new Map<string, number>();

  constructor(room: AddressRoom) {
    this.#room = room;
  }

  /** Notes that a message is missing. */
  lose(): void {
    this.isComplete = false;
    this.isBeingTold = false;
  }

  /** Begins a full report: from now on all devices are mentioned. */
  begin(): void {
    const [few, many] =
      this.#unnamed.size < this.#devices.size
        ? [this.#unnamed, this.#devices]
        : [this.#devices, this.#unnamed];
    for (const [address, devices] of few) many.set(address, devices);
    this.#unnamed = many;
    this.#devices = new Map();
  }

  /**
   * Sets the number of devices of an address.
   *
   * @returns the change of the number; `undefined` if there is no room for the address
   */
  set(address: string, devices: number): number | undefined {
    const before = this.#devices.get(address) ?? this.#unnamed.get(address) ?? 0;
    if (before === 0 && devices > 0) {
      if (this.#room.taken >= MAX_OF_ALL || this.#devices.size + this.#unnamed.size >= MAX_OF_NODE) {
        return undefined;
      }
      this.#room.taken++;
    } else if (before > 0 && devices === 0) {
      this.#room.taken--;
    }
    this.#unnamed.delete(address);
    if (devices > 0) this.#devices.set(address, devices);
    else this.#devices.delete(address);
    return devices - before;
  }

  /**
   * Removes devices not mentioned since `begin`.
   *
   * @returns the change of each address's number of devices, always negative
   */
  end(): Iterable<Devices> {
    const gone = this.#unnamed;
    this.#unnamed = new Map();
    this.#room.taken -= gone.size;
    return lossOf(gone);
  }

  /** Removes all devices. @returns the change of each address's number of devices, always negative */
  clear(): Iterable<Devices> {
    this.begin();
    return this.end();
  }
}

function* lossOf(devices: ReadonlyMap<string, number>): Generator<Devices> {
  for (const [address, count] of devices) yield [address, -count];
}
