import type { WirePresence } from './presence-state.ts';

/** The events of the server on a stream, by name. */
export interface ServerEvents {
  /**
   * `heartbeatSeconds`: if a client receives nothing for much longer, the connection is dead. `expiresAt`: when the
   * token expires, which ends the stream.
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
  // Other nodes have more than this one, which does not know the client's cursor yet.
  'behind',
  // This node is cut off from the others.
  'disconnected',
] as const;

export type ByeReason = (typeof BYE_REASONS)[number];

/** The reason for which a stream is not opened when other requests get 503. */
export const UNAVAILABLE = 'unavailable';

export type Unavailable = typeof UNAVAILABLE;

/** The fields beside the data of an event. */
export interface EventFields {
  /** The client's position after it; left out if the event does not change it. */
  readonly cursor?: string | undefined;
  /** How long the client waits before it reconnects, in whole milliseconds. */
  readonly retry?: number | undefined;
}

/** A range of milliseconds from which each client gets a random wait, so that they do not all return at once. */
export interface RetrySpread {
  readonly min: number;
  readonly max: number;
}

/** The wait after a stream that was served. */
export const RETRY_SERVED: RetrySpread = { min: 1000, max: 4000 };

/** The wait of a client that is sent away. */
export const RETRY_REFUSED: RetrySpread = { min: 5000, max: 15_000 };

/** Returns a random wait of a range, in whole seconds, as `Retry-After` has it. */
export function spreadRetrySeconds(spread: RetrySpread): number {
  return Math.ceil(spreadRetry(spread) / 1000);
}

/** Returns a random wait of a range, in whole milliseconds. */
export function spreadRetry({ min, max }: RetrySpread): number {
  return min + Math.floor(Math.random() * (max - min + 1));
}
