import { type Presence, toWire } from '../hub/presence.ts';
import type { Connection } from './connection.ts';
import type { Framing } from './framing.ts';

/** A presence frame is far shorter; with less room it waits. */
const ROOM = 4096;

/** The presence of others that a device wants to see: their states now, and each change. */
export class WatchedPresence {
  readonly #presence: Presence;
  readonly #connection: Connection;
  readonly #framing: Framing;
  /** Addresses whose presence is not told yet: the newest state is told, when there is room. */
  readonly #untold: Set<string>;
  readonly #unwatch: () => void;

  constructor(
    presence: Presence,
    addresses: readonly string[],
    { connection, framing }: { connection: Connection; framing: Framing },
  ) {
    this.#presence = presence;
    this.#connection = connection;
    this.#framing = framing;
    this.#untold = new Set(addresses);
    this.#unwatch = presence.watch(addresses, (address) => {
      this.#untold.add(address);
      this.tell();
    });
  }

  /** Tells what is not told yet, as far as there is room. */
  tell(): void {
    for (const recipient of this.#untold) {
      if (this.#connection.room < ROOM) return;
      this.#untold.delete(recipient);
      const data = { recipient, ...toWire(this.#presence.state(recipient)) };
      this.#connection.write(this.#framing.encode([this.#framing.event('presence', data)]));
    }
  }

  /** Tells nothing more. */
  stop(): void {
    this.#unwatch();
  }
}
