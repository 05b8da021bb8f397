import type { Identity } from '../auth/identity.ts';
import type { Delivery } from './delivery.ts';
import type { Inboxes } from '../log/inboxes.ts';
import type { Connections } from './connections.ts';
import { HeldRequest } from './held-request.ts';
import type { Subscriber, Hub } from './hub.ts';
import type { FairScheduler } from '../fair-scheduler.ts';

/** A poll that waits until one of its inboxes gets a message. */
export class HeldPoll extends HeldRequest implements Subscriber {
  #mayRead = true;

  /**
   * The head of the log when it began. A commit up to it may still be on its way, but its messages were already read.
   */
  readonly #head: number;

  private constructor(inboxes: Inboxes, head: number, identity: Identity) {
    super('polling', inboxes, identity);
    this.#head = head;
  }

  /**
   * Waits until one of the inboxes gets a message, the time has passed, the token has ended, the signal is aborted, or
   * the service ends or is cut off.
   *
   * @param head the head of the log at the previous read
   * @param cut aborted if the client has gone or can no longer be watched; if it is already aborted, the wait ends at
   *   once
   * @returns whether the inboxes may still be read: `false` if the token has ended or the service is cut off
   */
  static async hold(
    { hub, scheduler, connections }: { hub: Hub; scheduler: FairScheduler; connections: Connections },
    inboxes: Inboxes,
    head: number,
    identity: Identity,
    milliseconds: number,
    cut: AbortSignal,
  ): Promise<boolean> {
    const poll = new HeldPoll(inboxes, head, identity);
    const timer = setTimeout(poll.end, milliseconds);
    if (cut.aborted) poll.end();
    cut.addEventListener('abort', poll.end);
    hub.add(poll);
    connections.join(poll);
    await poll.ended;
    clearTimeout(timer);
    hub.remove(poll);
    connections.leave(poll);
    // Take turns: many polls may have waited for the same message, and each now reads a page.
    await new Promise<void>((resolve) => scheduler.add({ turn: resolve }));
    return poll.#mayRead;
  }

  deliver(delivery: Delivery): void {
    if (delivery.lastId > this.#head) this.end();
  }

  /** Refuses the message: polls get only stored messages. */
  deliverEphemeral(): boolean {
    return false;
  }

  override expire(): void {
    this.#mayRead = false;
    this.end();
  }

  override disconnect(): void {
    this.#mayRead = false;
    this.end();
  }
}
