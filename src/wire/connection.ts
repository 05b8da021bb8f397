import type { ByeReason } from './server-events.ts';

/** One client connection that carries a stream, in any protocol. Its buffer is bounded. */
export interface Connection {
  /** The `performance.now()` of the last write. */
  readonly lastWrite: number;
  /** Whether everything written has been sent. */
  readonly idle: boolean;
  /** The number of bytes waiting in memory. */
  readonly buffered: number;
  /** The number of bytes that still fit under the bound. */
  readonly room: number;
  /** Starts calling its owner, and reading from the client. Call it once, before the first write. */
  start(owner: ConnectionOwner): void;
  /** Writes bytes, even if there is no room. */
  write(bytes: Uint8Array): void;
  /**
   * Writes the last bytes, and closes when they are sent.
   *
   * @param reason for protocols whose close frame has a reason
   */
  end(bytes: Uint8Array, reason: ByeReason): void;
  /** Closes at once. */
  cut(): void;
}

/** The owner of a connection, which is notified of its events. */
export interface ConnectionOwner {
  /** Called when everything written has been sent, so that there is room again. */
  drained(): void;
  /**
   * Called when the connection is gone, whoever ended it.
   *
   * @param stalled whether it was cut because the client read nothing
   */
  closed(stalled: boolean): void;
}
