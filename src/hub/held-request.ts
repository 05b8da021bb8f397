import type { Identity } from '../auth/identity.ts';
import type { TrustedKey } from '../auth/trusted-key.ts';
import type { Inboxes } from '../log/inboxes.ts';
import type { Connections, OpenConnection } from './connections.ts';
import { Waiter } from './waiter.ts';

/** An unanswered request for messages. It counts as a connection of its client. */
export class HeldRequest implements OpenConnection {
  readonly inboxes: Inboxes;
  readonly client: string | undefined;
  readonly expiresAt: number | undefined;
  readonly key: TrustedKey | undefined;
  readonly protocol = 'poll';
  readonly buffered = 0;
  readonly state: 'polling' | 'waiting';
  /** Settles when the wait ends. */
  protected readonly ended: Promise<void>;
  #end: () => void = () => undefined;

  constructor(state: 'polling' | 'waiting', inboxes: Inboxes, { client, expiresAt, key }: Identity) {
    this.state = state;
    this.inboxes = inboxes;
    this.client = client;
    this.expiresAt = expiresAt;
    this.key = key;
    this.ended = new Promise((resolve) => (this.#end = resolve));
  }

  /**
   * Waits until this node has caught up with a client's cursor, the token has ended, the signal is aborted, or the
   * service ends or is cut off.
   *
   * @param reached the promise of `MessageLog.reach`
   * @param cut aborted if the client has gone or can no longer be watched
   * @returns whether the node has caught up
   */
  static async catchUp(
    connections: Connections,
    reached: Promise<void>,
    inboxes: Inboxes,
    identity: Identity,
    cut: AbortSignal,
  ): Promise<boolean> {
    const waiting = new HeldRequest('waiting', inboxes, identity);
    let isReached = false;
    const waiter = new Waiter(reached, (failed) => {
      isReached = failed === undefined;
      waiting.end();
    });
    if (cut.aborted) waiting.end();
    cut.addEventListener('abort', waiting.end);
    connections.join(waiting);
    await waiting.ended;
    waiter.leave();
    connections.leave(waiting);
    return isReached;
  }

  /** Ends the wait. */
  readonly end = (): void => this.#end();

  expire(): void {
    this.end();
  }

  /** Returns 0: a held request is never behind. */
  behind(): number {
    return 0;
  }

  shutdown(): void {
    this.end();
  }

  disconnect(): void {
    this.end();
  }
}
