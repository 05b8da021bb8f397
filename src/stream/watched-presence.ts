import type { Presence } from '../hub/presence.ts';
import type { Watcher } from '../hub/watching.ts';
import type { Connection } from './connection.ts';
import type { Framing } from './framing.ts';

/** The presence of others that a device wants to see: their states at the beginning, and each change. */
export class WatchedPresence implements Watcher {
  readonly watched: readonly string[];
  readonly #presence: Presence;
  readonly #connection: Connection;
  readonly #framing: Framing;
  /** Addresses whose presence is not told yet: the newest state is told, when there is room. */
  readonly #untold: Set<string>;
  /** Whether each address was online when it was told. */
  readonly #told = new Map<string, boolean>();
  readonly #unwatch: () => void;

  constructor(
    presence: Presence,
    addresses: readonly string[],
    { connection, framing }: { connection: Connection; framing: Framing },
  ) {
    this.watched = addresses;
    this.#presence = presence;
    this.#connection = connection;
    this.#framing = framing;
    this.#untold = new Set(addresses);
    this.#unwatch = presence.watch(this);
  }

  note(address: string): void {
    this.#untold.add(address);
  }

  /** Tells what is not told yet, as far as there is room: in one write. */
  tell(): void {
    const { room } = this.#connection;
    const frames: Buffer[] = [];
    let length = 0;
    for (const address of this.#untold) {
      const state = this.#presence.frame(address);
      // One that went and is back, or was told by the newest state already.
      if (state.online === this.#told.get(address)) {
        this.#untold.delete(address);
        continue;
      }
      const frame = state.in(this.#framing);
      if (length + frame.length > room) break;
      this.#untold.delete(address);
      this.#told.set(address, state.online);
      frames.push(frame);
      length += frame.length;
    }
    if (length > 0) this.#connection.write(Buffer.concat(frames, length));
  }

  /** Tells nothing more. */
  stop(): void {
    this.#unwatch();
  }
}
