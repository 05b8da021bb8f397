import type { Identity } from '../auth/identity.ts';
import type { TrustedKey } from '../auth/trusted-key.ts';
import type { Inboxes } from '../log/store.ts';
import type { Device, Devices } from './devices.ts';
import type { Follower, Hub } from './hub.ts';
import type { Turns } from './turns.ts';

/** One held poll: a device that waits until its inboxes are touched. */
export class HeldPoll implements Follower, Device {
  readonly inboxes: Inboxes;
  readonly client: string | undefined;
  readonly expiresAt: number | undefined;
  readonly key: TrustedKey | undefined;
  readonly protocol = 'poll';
  readonly state = 'polling';
  readonly buffered = 0;
  #hasExpired = false;
  #end: () => void = () => undefined;

  private constructor(inboxes: Inboxes, { client, expiresAt, key }: Identity) {
    this.inboxes = inboxes;
    this.client = client;
    this.expiresAt = expiresAt;
    this.key = key;
  }

  /**
   * Waits until one of the inboxes gets a message, the time has passed, the token has ended, it is cut short or the
   * service ends.
   *
   * @param cut aborted when it is to end: the client has gone, or could not be seen to go; aborted already, it ends at once
   * @returns whether the inboxes may still be read: not if the token has ended
   */
  static async hold(
    { hub, turns, devices }: { hub: Hub; turns: Turns; devices: Devices },
    inboxes: Inboxes,
    identity: Identity,
    milliseconds: number,
    cut: AbortSignal,
  ): Promise<boolean> {
    const poll = new HeldPoll(inboxes, identity);
    const ended = new Promise<void>((resolve) => (poll.#end = resolve));
    const timer = setTimeout(poll.#end, milliseconds);
    if (cut.aborted) poll.#end();
    cut.addEventListener('abort', poll.#end);
    hub.add(poll);
    devices.join(poll);
    await ended;
    clearTimeout(timer);
    hub.remove(poll);
    devices.leave(poll);
    // Many may have waited for the same message, and each reads a page now.
    await new Promise<void>((resolve) => turns.add({ turn: resolve }));
    return !poll.#hasExpired;
  }

  deliver(): void {
    this.#end();
  }

  /** What is not stored is not for polls. */
  deliverEphemeral(): boolean {
    return false;
  }

  expire(): void {
    this.#hasExpired = true;
    this.#end();
  }

  /** It has had all that there was. */
  behind(): number {
    return 0;
  }

  shutdown(): void {
    this.#end();
  }
}
