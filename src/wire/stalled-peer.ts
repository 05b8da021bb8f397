import type { Socket } from 'node:net';

/** The interval between checks of unsent bytes while nothing is written. */
export const LOOK_MILLISECONDS = 10_000;

const STALLED_LOOKS = 6;

/**
 * Tells a peer that reads nothing from a slow one. A peer is stalled if it has taken none of the unsent bytes at six
 * checks in a row. That takes 60 to 70 s, because node:net skips the first check after a partly taken write.
 */
export class StalledPeer {
  readonly #socket: Socket;
  readonly #lookMilliseconds: number;
  #lastLook = 0;
  /** The number of checks in a row that found `#taken` unchanged. */
  #looks = 0;
  #taken = 0;

  /** @param lookMilliseconds the timeout of the socket, after which `look` is called */
  constructor(socket: Socket, lookMilliseconds = LOOK_MILLISECONDS) {
    this.#socket = socket;
    this.#lookMilliseconds = lookMilliseconds;
  }

  /** Checks the peer. Call it when the socket has timed out with unsent bytes. @returns whether the peer is stalled */
  look(): boolean {
    const now = performance.now();
    const taken = this.#socket.bytesWritten - this.#socket.writableLength;
    // node:net skips a check if part of a write was taken, which the numbers show only once the whole write is.
    const wasSkipped = now - this.#lastLook > 1.5 * this.#lookMilliseconds;
    this.#looks = taken === this.#taken && !wasSkipped ? this.#looks + 1 : 1;
    this.#lastLook = now;
    this.#taken = taken;
    return this.#looks >= STALLED_LOOKS;
  }
}
