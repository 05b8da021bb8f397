import type { PushAddress } from '../log/push-store.ts';

/** Which subscriptions a message may be for: looked at for each message that is published, so kept in memory. */
export class PushIndex {
  readonly #all = new Map<number, PushAddress>();
  readonly #ofRecipient = new Map<string, Set<PushAddress>>();
  readonly #ofReader = new Map<string, Set<PushAddress>>();

  /** How many there are. */
  get size(): number {
    return this.#all.size;
  }

  /** The ids of all. */
  get ids(): Iterable<number> {
    return this.#all.keys();
  }

  /** Adds one; in place of that with the same id, if there is one. */
  add({ id, recipient, reader }: PushAddress): void {
    this.delete(id);
    const address = { id, recipient, reader };
    this.#all.set(id, address);
    addTo(this.#ofRecipient, recipient, address);
    addTo(this.#ofReader, reader, address);
  }

  /** Takes one out. Nothing is done where it is not known. */
  delete(id: number): void {
    const address = this.#all.get(id);
    if (address === undefined) return;
    this.#all.delete(id);
    deleteFrom(this.#ofRecipient, address.recipient, address);
    deleteFrom(this.#ofReader, address.reader, address);
  }

  /** Those that follow a recipient's messages; `undefined` where nobody does. */
  ofRecipient(recipient: string): Iterable<PushAddress> | undefined {
    return this.#ofRecipient.get(recipient);
  }

  /** Those whose reader read something; `undefined` where there are none. */
  ofReader(reader: string): Iterable<PushAddress> | undefined {
    return this.#ofReader.get(reader);
  }
}

function addTo(map: Map<string, Set<PushAddress>>, key: string, address: PushAddress): void {
  const set = map.get(key);
  if (set === undefined) map.set(key, new Set([address]));
  else set.add(address);
}

function deleteFrom(map: Map<string, Set<PushAddress>>, key: string, address: PushAddress): void {
  const set = map.get(key);
  if (set?.delete(address) === true && set.size === 0) map.delete(key);
}
