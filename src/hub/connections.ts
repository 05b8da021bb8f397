import { EVERYTHING } from '../address.ts';
import { hasEnded, type Term } from '../auth/identity.ts';
import type { Inboxes } from '../log/inboxes.ts';
import type { Framing } from '../wire/framing.ts';
import type { Presence } from './presence.ts';
import type { RetrySpread } from '../wire/server-events.ts';
import type { SubscriptionState } from './subscription.ts';
import type { FairScheduler } from '../fair-scheduler.ts';

/** The reason why a client cannot connect now. */
export type ConnectRefusal = 'shutdown' | 'over-limit' | 'disconnected';

/** One open stream or held poll. */
export interface OpenConnection extends Term {
  readonly inboxes: Inboxes;
  /** The token's `sub`; `undefined` in open mode. */
  readonly client: string | undefined;
  /** Tells the client that its token has expired or that the token's key was removed, and closes. */
  expire(): void;
  /** The name of its protocol. */
  readonly protocol: Framing['protocol'] | 'poll';
  /** Its current state. `waiting` means that this node has not caught up with its cursor. */
  readonly state: SubscriptionState | 'waiting' | 'polling';
  /** The number of bytes in the buffer of its socket. */
  readonly buffered: number;
  /** Returns the number of ids that it is behind the head of the log; 0 if it is not replaying. */
  behind(head: number): number;
  /** Tells the client that the service is ending, and closes. */
  shutdown(): void;
  /**
   * Tells the client that this node is cut off from the others, and closes.
   *
   * @param retry when the client should come back
   */
  disconnect(retry: RetrySpread): void;
}

/** The limits on open streams and held polls. */
export interface ConnectionLimits {
  readonly total: number;
  /** The limit per client. Has no effect in open mode, in which clients are unknown. */
  readonly perClient: number;
}

/**
 * The interval between checks for ended tokens. They expire by the system clock, which may be set meanwhile.
 * Connections whose key is removed also end within this time.
 */
const EXPIRY_MILLISECONDS = 250;

/**
 * All open streams and held polls. Limits their number, reports them to presence, and ends them with their tokens or
 * the service.
 */
export class Connections {
  readonly #presence: Presence;
  readonly #scheduler: FairScheduler;
  readonly limits: ConnectionLimits;
  readonly #open = new Set<OpenConnection>();
  readonly #openOf = new Map<string, number>();
  readonly #expiring = new Set<OpenConnection>();
  readonly #now: () => number;
  #stop: (() => void) | undefined;
  #ending = false;

  /** @param now milliseconds since the Unix epoch */
  constructor(presence: Presence, limits: ConnectionLimits, scheduler: FairScheduler, now: () => number) {
    this.#presence = presence;
    this.limits = limits;
    this.#scheduler = scheduler;
    this.#now = now;
  }

  /** Starts ending connections whose token has ended. */
  start(): void {
    this.#stop = this.#scheduler.every(EXPIRY_MILLISECONDS, () => this.#endExpired(this.#now()));
  }

  /** Stops ending connections. */
  stop(): void {
    this.#stop?.();
  }

  /** The currently open streams and held polls. */
  get open(): ReadonlySet<OpenConnection> {
    return this.#open;
  }

  /** Whether the service is ending. */
  get ending(): boolean {
    return this.#ending;
  }

  /** Returns the reason why a client cannot connect now; `undefined` if it can. */
  refusalFor(client: string | undefined): ConnectRefusal | undefined {
    if (this.#ending) return 'shutdown';
    const own = client === undefined ? 0 : (this.#openOf.get(client) ?? 0);
    return this.#open.size >= this.limits.total || own >= this.limits.perClient ? 'over-limit' : undefined;
  }

  /** Adds a connection. */
  join(connection: OpenConnection): void {
    this.#open.add(connection);
    if (connection.client !== undefined) {
      this.#openOf.set(connection.client, (this.#openOf.get(connection.client) ?? 0) + 1);
    }
    if (connection.expiresAt !== undefined) this.#expiring.add(connection);
    this.#presence.join(presentAs(connection));
  }

  /** Removes a connection. Does nothing if it was already removed. */
  leave(connection: OpenConnection): void {
    if (!this.#open.delete(connection)) return;
    this.#expiring.delete(connection);
    if (connection.client !== undefined) {
      const left = (this.#openOf.get(connection.client) ?? 1) - 1;
      if (left > 0) this.#openOf.set(connection.client, left);
      else this.#openOf.delete(connection.client);
    }
    this.#presence.leave(presentAs(connection));
  }

  /** Refuses new connections from now on. */
  beginShutdown(): void {
    this.#ending = true;
  }

  /** Ends all connections, in turns. Settles when all clients have been told. */
  shutdown(): Promise<void> {
    return this.#scheduler.run(this.#endAll());
  }

  *#endAll(): Generator {
    for (const connection of this.#open) {
      connection.shutdown();
      yield;
    }
  }

  *#endExpired(now: number): Generator {
    for (const connection of this.#expiring) {
      if (!hasEnded(connection, now)) continue;
      connection.expire();
      yield;
    }
  }
}

/** Returns the addresses that a connection makes present. Wildcard followers have no presence. */
function presentAs({ inboxes }: OpenConnection): readonly string[] {
  return inboxes[0] === EVERYTHING ? [] : inboxes;
}
