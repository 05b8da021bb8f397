import type { ByeReason } from './server-events.ts';

/** Where the bytes of a device's stream go: one connection, whatever is spoken on it, with a bound on what it buffers. */
export interface Connection {
  /** The moment of the last write, on the clock of `performance.now()`. */
  readonly lastWrite: number;
  /** Whether all that was written is out. */
  readonly idle: boolean;
  /** How many bytes wait in memory. */
  readonly buffered: number;
  /** How many bytes fit under the bound now. */
  readonly room: number;
  /** Takes bytes, without a look at the room. */
  write(bytes: Uint8Array): void;
  /** Sends last bytes, and closes when they are out. @param reason for a protocol that says it on closing */
  end(bytes: Uint8Array, reason: ByeReason): void;
  /** Closes at once. */
  cut(): void;
}

/** Whose connection it is, and what that is told. */
export interface ConnectionOwner {
  /** What was written is out: there is room again. */
  drained(): void;
  /** The connection is gone, whoever ended it. @param stalled whether it was cut because it took nothing */
  closed(stalled: boolean): void;
}
