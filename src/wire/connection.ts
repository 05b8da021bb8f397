import type { ByeReason } from './server-events.ts';

/** One client connection that carries a stream, in any protocol. What it buffers is bounded. */
export interface Connection {
  /** The time of the last write, on the clock of `performance.now()`. */
  readonly lastWrite: number;
  /** Whether everything written has been sent. */
  readonly idle: boolean;
  /** How many bytes wait in memory. */
  readonly buffered: number;
  /** How many more bytes fit under the bound. */
  readonly room: number;
  /** Begins to call its owner, and to read what the client sends. Call it once, before the first write. */
  start(owner: ConnectionOwner): void;
  /** Writes bytes, whether or not there is room. */
  write(bytes: Uint8Array): void;
  /** Writes the last bytes, and closes when they are sent. @param reason for a protocol that names it when it closes */
  end(bytes: Uint8Array, reason: ByeReason): void;
  /** Closes at once. */
  cut(): void;
}

/** The owner of a connection, which is told of its events. */
export interface ConnectionOwner {
  /** Called when everything written has been sent: there is room again. */
  drained(): void;
  /** Called when the connection is gone, whoever ended it. @param stalled whether it was cut: the client read nothing */
  closed(stalled: boolean): void;
}
