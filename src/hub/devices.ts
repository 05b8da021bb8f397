import { EVERYTHING } from '../address.ts';
import type { Inboxes } from '../log/store.ts';
import type { Presence } from './presence.ts';
import type { SubscriptionState } from './subscription.ts';

/** Why a device is not let in for now. */
export type NotNow = 'shutdown' | 'over-limit';

/** One open stream or held poll. */
export interface Device {
  readonly inboxes: Inboxes;
  /** What it is doing now. */
  readonly state: SubscriptionState | 'polling';
  /** Bytes that wait in the buffer of its socket. */
  readonly buffered: number;
  /** How many ids it is behind the head of the log; 0 where it is not replaying. */
  behind(head: number): number;
  /** The service is ending: say so and close. */
  shutdown(): void;
}

/** All open devices: counted against a limit, known to presence, and ended together. */
export class Devices {
  readonly #presence: Presence;
  /** How many streams and held polls may be open at once. */
  readonly limit: number;
  readonly #open = new Set<Device>();
  #ending = false;

  /** @param limit how many streams and held polls may be open at once */
  constructor(presence: Presence, limit: number) {
    this.#presence = presence;
    this.limit = limit;
  }

  /** Those that are open now. */
  get open(): ReadonlySet<Device> {
    return this.#open;
  }

  /** Whether the service is ending. */
  get ending(): boolean {
    return this.#ending;
  }

  /** Why no further device is let in now; `undefined` where one is. */
  get notNow(): NotNow | undefined {
    if (this.#ending) return 'shutdown';
    return this.#open.size >= this.limit ? 'over-limit' : undefined;
  }

  /** Lets a device in. */
  join(device: Device): void {
    this.#open.add(device);
    this.#presence.join(presentAs(device));
  }

  /** Takes a device out. Nothing is done where it is not in. */
  leave(device: Device): void {
    if (this.#open.delete(device)) this.#presence.leave(presentAs(device));
  }

  /** From now on nobody is let in. */
  beginShutdown(): void {
    this.#ending = true;
  }

  /** Ends all that are open. */
  shutdown(): void {
    for (const device of [...this.#open]) device.shutdown();
  }
}

/** Who follows everything is present as nobody. */
function presentAs({ inboxes }: Device): readonly string[] {
  return inboxes[0] === EVERYTHING ? [] : inboxes;
}
