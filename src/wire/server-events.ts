import type { WirePresence } from './presence-state.ts';

/** The server's events on a stream, by name. */
export interface ServerEvents {
  /**
   * If a client receives nothing for much longer than `heartbeatSeconds`, the connection is dead. The token expires at
   * `expiresAt`, which ends the stream.
   */
  ready: {
    readonly cursor: string;
    readonly gap: false | string;
    readonly heartbeatSeconds: number;
    readonly expiresAt?: string;
  };
  live: { readonly cursor: string; readonly replayed: number };
  heartbeat: { readonly at: string };
  presence: { readonly recipient: string } & WirePresence;
  bye: { readonly reason: ByeReason | Unavailable };
}

/** The reasons for which the server ends a stream. */
export const BYE_REASONS = [
  'shutdown',
  'token-expired',
  'too-slow',
  'over-limit',
  // This node is behind other nodes and does not know the client's cursor yet.
  'behind',
  // This node is cut off from the others.
  'disconnected',
] as const;

export type ByeReason = (typeof BYE_REASONS)[number];

/** The reason why a stream is not opened, in the cases in which other requests get 503. */
export const UNAVAILABLE = 'unavailable';

export type Unavailable = typeof UNAVAILABLE;

/** The fields of an event besides its data. */
export interface EventFields {
  /** The client's position after the event; omitted if the event does not change it. */
  readonly cursor?: string | undefined;
  /** The time that the client should wait before it reconnects, in whole milliseconds. */
  readonly retry?: number | undefined;
}

/** A range of milliseconds from which each client gets a random wait, so that clients do not all return at once. */
export interface RetrySpread {
  readonly min: number;
  readonly max: number;
}

/** The wait after a stream that was served. */
export const RETRY_SERVED: RetrySpread = { min: 1000, max: 4000 };

/** The wait of a client that is turned away. */
export const RETRY_REFUSED: RetrySpread = { min: 5000, max: 15_000 };

/** Returns a random wait from a range, in whole seconds, for `Retry-After`. */
export function spreadRetrySeconds(spread: RetrySpread): number {
  return Math.ceil(spreadRetry(spread) / 1000);
}

/** Returns a random wait from a range, in whole milliseconds. */
export function spreadRetry({ min, max }: RetrySpread): number {
  return min + Math.floor(Math.random() * (max - min + 1));
}
