import type { Devices } from './bus-message.ts';

/** So many addresses are kept of one node, and of all. Further ones are ignored until they are told when there is room. */
const MAX_OF_NODE = 100_000;
export const MAX_OF_ALL = 500_000;

/** The addresses that are kept of all nodes together. */
export interface AddressRoom {
  taken: number;
}

/** The devices of another node, by address. */
export class RemoteDevices {
  /** The number of the newest message. */
  number = 0;
  /** While all devices are being told. */
  isBeingTold = false;
  /** Whether every message up to `number` came, or all devices were told since. */
  isComplete = false;
  /** When it was asked last, on the clock of `performance.now()`. */
  askedAt = -Infinity;
  readonly #room: AddressRoom;
  #devices = new Map<string, number>();
  /** While all devices are being told: those of before that were not named yet. */
  #unnamed = new Map<string, number>();

  constructor(room: AddressRoom) {
    this.#room = room;
  }

  /** Notes that a message did not come. */
  lose(): void {
    this.isComplete = false;
    this.isBeingTold = false;
  }

  /** Takes it that from now on all devices are named. */
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
   * Sets how many devices an address has.
   *
   * @returns by how many that is more; `undefined` if there is no room for the address
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

  /** Takes away what was not named since `begin`. @returns by how many devices each address has more: all negative */
  end(): Iterable<Devices> {
    const gone = this.#unnamed;
    this.#unnamed = new Map();
    this.#room.taken -= gone.size;
    return lossOf(gone);
  }

  /** Takes all away. @returns by how many devices each address has more: all negative */
  clear(): Iterable<Devices> {
    this.begin();
    return this.end();
  }
}

function* lossOf(devices: ReadonlyMap<string, number>): Generator<Devices> {
  for (const [address, count] of devices) yield [address, -count];
}
