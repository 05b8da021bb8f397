import type { Presence } from '../hub/presence.ts';
import type { Watcher } from '../hub/presence-watchers.ts';
import type { Connection } from '../wire/connection.ts';
import type { Framing } from '../wire/framing.ts';

/** The presence of watched addresses on one stream: their states when it begins, and each change. */
export class WatchedPresence implements Watcher {
  readonly watched: readonly string[];
  readonly #presence: Presence;
  readonly #connection: Pick<Connection, 'room' | 'write'>;
  readonly #framing: Framing;
  /** The addresses whose state must still be sent. Their state is read when it is sent. */
  readonly #unsent: Set<string>;
  /** Whether each address was online when its state was last sent. */
  readonly #sent = new Map<string, boolean>();
  #unwatch: () => void = () => undefined;

  constructor(
    presence: Presence,
    addresses: readonly string[],
    connection: Pick<Connection, 'room' | 'write'>,
    framing: Framing,
  ) {
    this.watched = addresses;
    this.#presence = presence;
    this.#connection = connection;
    this.#framing = framing;
    this.#unsent = new Set(addresses);
  }

  /** Sends the states of all addresses, and then their changes. */
  start(): void {
    this.#unwatch = this.#presence.watch(this);
    this.tell();
  }

  note(address: string): void {
    this.#unsent.add(address);
  }

  /** Sends the unsent states in one write, as far as there is room. */
  tell(): void {
    const { room } = this.#connection;
    const frames: Buffer[] = [];
    let length = 0;
    for (const address of this.#unsent) {
      const state = this.#presence.frame(address);
      // It left and came back, or its newest state has already been sent.
      if (state.online === this.#sent.get(address)) {
        this.#unsent.delete(address);
        continue;
      }
      const frame = state.in(this.#framing);
      if (length + frame.length > room) break;
      this.#unsent.delete(address);
      this.#sent.set(address, state.online);
      frames.push(frame);
      length += frame.length;
    }
    if (length > 0) this.#connection.write(Buffer.concat(frames, length));
  }

  /** Stops sending. Does nothing if it was not started. */
  stop(): void {
    this.#unwatch();
  }
}
