import type { Socket } from 'node:net';

/** Unsent bytes are looked at this often while nothing is written. */
export const LOOK_MILLISECONDS = 10_000;

const STALLED_LOOKS = 6;

/**
 * Tells a peer that takes nothing from one that is only slow. Six looks in a row at which it had taken none of what is
 * unsent mean that it is stalled: 60 to 70 s, since node:net skips the first look after a write that was taken in part.
 */
export class StalledPeer {
  readonly #socket: Socket;
  readonly #lookMilliseconds: number;
  #lastLook = 0;
  /** Looks in a row at which nothing more had been taken than these bytes. */
  #looks = 0;
  #taken = 0;

  /** @param lookMilliseconds the socket's timeout, at which `look` is called */
  constructor(socket: Socket, lookMilliseconds = LOOK_MILLISECONDS) {
    this.#socket = socket;
    this.#lookMilliseconds = lookMilliseconds;
  }

  /** Takes a look, when the socket's timeout has passed and bytes are unsent. @returns whether the peer is stalled */
  look(): boolean {
    const now = performance.now();
    const taken = this.#socket.bytesWritten - this.#socket.writableLength;
    // A skipped look: part of a write was taken, which the numbers show only when all of it is.
    const wasSkipped = now - this.#lastLook > 1.5 * this.#lookMilliseconds;
    this.#looks = taken === this.#taken && !wasSkipped ? this.#looks + 1 : 1;
    this.#lastLook = now;
    this.#taken = taken;
    return this.#looks >= STALLED_LOOKS;
  }
}
