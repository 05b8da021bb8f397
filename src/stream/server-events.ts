import type { WirePresence } from '../hub/presence-state.ts';

/** What the server itself says on a stream, by event name. */
export interface ServerEvents {
  /**
   * `heartbeatSeconds`: a client that hears nothing for much longer takes the connection for dead. `expiresAt`: when the
   * token ends, and the stream with it.
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

/** Why the server ends a stream. */
export type ByeReason = 'shutdown' | 'token-expired' | 'too-slow' | 'over-limit';

/** Why a stream is not opened: the service, or the proxy before it, would answer 503. */
export type Unavailable = 'unavailable';

/** What stands beside an event. */
export interface EventFields {
  /** The device's position after it; left out where it does not move that. */
  readonly cursor?: string | undefined;
  /** How long a client waits before it connects again, in whole milliseconds. */
  readonly retry?: number | undefined;
}

/** A span from which each stream gets a value of its own, so that devices do not all return at once. */
export interface RetrySpread {
  readonly least: number;
  readonly most: number;
}

/** For a stream that is served. */
export const RETRY_SERVED: RetrySpread = { least: 1000, most: 4000 };

/** For a client that is sent away for now. */
export const RETRY_REFUSED: RetrySpread = { least: 5000, most: 15_000 };

/** A wait out of a spread, in whole milliseconds. */
export function spreadRetry({ least, most }: RetrySpread): number {
  return least + Math.floor(Math.random() * (most - least + 1));
}
