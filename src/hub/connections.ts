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
  /** Tells the client that its token has expired, or that the token's key was removed, and closes. */
  expire(): void;
  /** The name of its protocol. */
  readonly protocol: Framing['protocol'] | 'poll';
  /** Its state now. `waiting`: this node has not caught up with its cursor. */
  readonly state: SubscriptionState | 'waiting' | 'polling';
  /** How many bytes wait in the buffer of its socket. */
  readonly buffered: number;
  /** Returns how many ids it is behind the head of the log; 0 if it is not replaying. */
  behind(head: number): number;
  /** Tells the client that the service is ending, and closes. */
  shutdown(): void;
  /** Tells the client that this node is cut off from the others, and closes. @param retry when it comes back */
  disconnect(retry: RetrySpread): void;
}

/** The limits for open streams and held polls. */
export interface ConnectionLimits {
  readonly total: number;
  /** For one client. Has no effect in open mode, in which clients are not known. */
  readonly perClient: number;
}

/**
 * How often ended tokens are looked for. They expire by the system clock, which may be set meanwhile. Connections whose
 * key is removed end within this time, too.
 */
const EXPIRY_MILLISECONDS = 250;

/** All open streams and held polls. It limits them, tells presence, and ends them with their tokens or the service. */
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

  /** Begins to end connections whose token has ended. */
  start(): void {
    this.#stop = this.#scheduler.every(EXPIRY_MILLISECONDS, () => this.#endExpired(this.#now()));
  }

  /** Stops ending connections. */
  stop(): void {
    this.#stop?.();
  }

  /** The streams and held polls that are open now. */
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

  /** Removes a connection. Does nothing if it was removed already. */
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

  /** From now on, no client can connect. */
  beginShutdown(): void {
    this.#ending = true;
  }

  /** Ends all connections, in turns. Settles when each client has been told. */
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

/** Returns the addresses that a connection makes present: a follower of everything has no presence. */
function presentAs({ inboxes }: OpenConnection): readonly string[] {
  return inboxes[0] === EVERYTHING ? [] : inboxes;
}
