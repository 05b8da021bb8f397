import { EVERYTHING } from '../address.ts';
import { hasEnded, type Term } from '../auth/identity.ts';
import type { Inboxes } from '../log/store.ts';
import type { Framing } from '../stream/framing.ts';
import type { Presence } from './presence.ts';
import type { SubscriptionState } from './subscription.ts';
import type { Turns } from './turns.ts';

/** Why a device is not let in for now. */
export type NotNow = 'shutdown' | 'over-limit';

/** One open stream or held poll. */
export interface Device extends Term {
  readonly inboxes: Inboxes;
  /** Who opened it: the token's `sub`, or `undefined` in open mode. */
  readonly client: string | undefined;
  /** Its token has expired, or the key of that was removed: say so and close. */
  expire(): void;
  /** What is spoken with it. */
  readonly protocol: Framing['protocol'] | 'poll';
  /** What it is doing now. */
  readonly state: SubscriptionState | 'polling';
  /** Bytes that wait in the buffer of its socket. */
  readonly buffered: number;
  /** How many ids it is behind the head of the log; 0 where it is not replaying. */
  behind(head: number): number;
  /** The service is ending: say so and close. */
  shutdown(): void;
}

/** How many streams and held polls may be open at once. */
export interface DeviceLimits {
  readonly inAll: number;
  /** For one client; in open mode nobody says who they are, and it does not count. */
  readonly perClient: number;
}

/**
 * Devices whose token has ended are looked for this often: on the clock, whichever way that is set meanwhile. A key that is
 * removed ends them within this time, too.
 */
const EXPIRY_MILLISECONDS = 250;

/** All open devices: counted against limits, known to presence, ended with their tokens, and ended together. */
export class Devices {
  readonly #presence: Presence;
  readonly #turns: Turns;
  readonly limits: DeviceLimits;
  readonly #open = new Set<Device>();
  readonly #openOf = new Map<string, number>();
  readonly #expiring = new Set<Device>();
  #ending = false;

  /** @param now milliseconds since the Unix epoch */
  constructor(presence: Presence, limits: DeviceLimits, turns: Turns, now: () => number) {
    this.#presence = presence;
    this.limits = limits;
    this.#turns = turns;
    turns.every(EXPIRY_MILLISECONDS, () => this.#endExpired(now()));
  }

  /** Those that are open now. */
  get open(): ReadonlySet<Device> {
    return this.#open;
  }

  /** Whether the service is ending. */
  get ending(): boolean {
    return this.#ending;
  }

  /** Why no further device of a client is let in now; `undefined` where one is. */
  notNow(client: string | undefined): NotNow | undefined {
    if (this.#ending) return 'shutdown';
    const own = client === undefined ? 0 : (this.#openOf.get(client) ?? 0);
    return this.#open.size >= this.limits.inAll || own >= this.limits.perClient ? 'over-limit' : undefined;
  }

  /** Lets a device in. */
  join(device: Device): void {
    this.#open.add(device);
    if (device.client !== undefined) {
      this.#openOf.set(device.client, (this.#openOf.get(device.client) ?? 0) + 1);
    }
    if (device.expiresAt !== undefined) this.#expiring.add(device);
    this.#presence.join(presentAs(device));
  }

  /** Takes a device out. Nothing is done if it is not in. */
  leave(device: Device): void {
    if (!this.#open.delete(device)) return;
    this.#expiring.delete(device);
    if (device.client !== undefined) {
      const left = (this.#openOf.get(device.client) ?? 1) - 1;
      if (left > 0) this.#openOf.set(device.client, left);
      else this.#openOf.delete(device.client);
    }
    this.#presence.leave(presentAs(device));
  }

  /** From now on nobody is let in. */
  beginShutdown(): void {
    this.#ending = true;
  }

  /** Ends all that are open, in turns; settles when each was told. */
  shutdown(): Promise<void> {
    return this.#turns.run(this.#endAll());
  }

  *#endAll(): Generator {
    for (const device of this.#open) {
      device.shutdown();
      yield;
    }
  }

  *#endExpired(now: number): Generator {
    for (const device of this.#expiring) {
      if (!hasEnded(device, now)) continue;
      device.expire();
      yield;
    }
  }
}

/** Who follows everything is present as nobody. */
function presentAs({ inboxes }: Device): readonly string[] {
  return inboxes[0] === EVERYTHING ? [] : inboxes;
}
