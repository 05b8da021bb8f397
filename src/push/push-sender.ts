import type { Logger } from 'pino';
import type { PushSubscription } from '../log/push-store.ts';
import type { PushAnswer, PushClient } from './push-client.ts';
import type { PushHosts } from './push-hosts.ts';
import { type Push, pushRequest } from './push-request.ts';
import { retryAfter } from './retry.ts';
import { Slots } from './slots.ts';
import type { VapidSigner } from './vapid-signer.ts';

/**
 * What became of a message for a device: `sent`, the push service has it; `needless`, it was not needed any more when
 * its turn came; `gone`, there is no such device any more; `refused`, the same would be refused again; `failed`, it is
 * to be tried again; `dropped`, the service ends.
 */
export type Outcome =
  | { readonly kind: 'sent' | 'needless' | 'gone' | 'refused' | 'dropped' }
  | {
      readonly kind: 'failed';
      /** Milliseconds that the push service asked for. */
      readonly asked: number | undefined;
    };

/** A message that is to be sent; `undefined` if it is not needed any more, `later` if it cannot be sent now. */
export type Made = SignedPush | 'later' | undefined;

/** How many were tried, by what became of them. */
export type PushCounts = Record<'sent' | 'gone' | 'refused' | 'failed', number>;

const LIMITS = { inAll: 100, perService: 20 };

/** Hosts that are not in PUSH_HOSTS, as one push service: there may be very many names of them. */
const OTHERS = 'others';

/** Lines in the log for one push service, until it takes messages again. */
const MOST_REASONS = 20;

export interface PushSenderParts {
  readonly client: PushClient;
  readonly hosts: PushHosts;
  readonly signer: VapidSigner;
  readonly logger: Logger;
  /** Milliseconds since the Unix epoch, now. */
  readonly now: () => number;
}

/** Hands messages to push services, a few at a time, and reads what they say. */
export class PushSender {
  /** What became of those that were tried since the start. */
  readonly counts: PushCounts = { sent: 0, gone: 0, refused: 0, failed: 0 };
  readonly #parts: PushSenderParts;
  readonly #slots = new Slots(LIMITS);
  /** What was logged of each push service since it last took a message. */
  readonly #logged = new Map<string, Set<string>>();
  #ended = false;
  /** Told when nothing is under way any more. */
  #onIdle: (() => void) | undefined;

  constructor(parts: PushSenderParts) {
    this.#parts = parts;
  }

  /** How many are under way. */
  get inFlight(): number {
    return this.#slots.taken;
  }

  /** How many wait for others to their push service to be over. */
  get waiting(): number {
    return this.#slots.waiting;
  }

  /**
   * Sends a message to a device.
   *
   * @param make makes it when its turn has come
   */
  async send(endpoint: string, make: () => Promise<Made>): Promise<Outcome> {
    const { client, hosts, signer, now } = this.#parts;
    const place = hosts.read(endpoint);
    // PUSH_HOSTS may have been another when it was subscribed.
    if (typeof place === 'string')
      return this.#refused(OTHERS, `${new URL(endpoint).hostname} is not in PUSH_HOSTS`);
    const { url, service } = place;
    await this.#slots.take(service);
    try {
      if (this.#isEnded()) return { kind: 'dropped' };
      const made = await make();
      if (this.#isEnded()) return { kind: 'dropped' };
      if (made === undefined) return { kind: 'needless' };
      if (made === 'later') return { kind: 'failed', asked: undefined };
      const answer = await client.post(url, pushRequest(made.subscription, made.push, signer, now()));
      return this.#outcomeOf(service, answer);
    } catch (error) {
      if (this.#isEnded()) return { kind: 'dropped' };
      const { code, message } = error as NodeJS.ErrnoException;
      return this.#failed(service, `cannot be reached (${code ?? message})`, undefined);
    } finally {
      this.#slots.release(service);
      if (this.inFlight === 0) this.#onIdle?.();
    }
  }

  /** Sends nothing more, and waits for what is under way; past the time that is cut, and so `dropped`. */
  async close(milliseconds: number): Promise<void> {
    const { client } = this.#parts;
    this.#ended = true;
    if (this.inFlight > 0) {
      const cut = setTimeout(() => client.destroy(), milliseconds);
      await new Promise<void>((resolve) => (this.#onIdle = resolve));
      clearTimeout(cut);
    }
    client.destroy();
  }

  #isEnded(): boolean {
    return this.#ended;
  }

  #outcomeOf(service: string, { status, retryAfter: header }: PushAnswer): Outcome {
    if (status >= 200 && status < 300) {
      this.counts.sent++;
      if (this.#logged.delete(service))
        this.#parts.logger.info({ service }, 'the push service takes messages again');
      return { kind: 'sent' };
    }
    // RFC 8030 §7.3; 410 is what most of them say.
    if (status === 404 || status === 410) {
      this.counts.gone++;
      return { kind: 'gone' };
    }
    if (status === 429 || status >= 500) {
      return this.#failed(service, `answered ${status}`, retryAfter(header, this.#parts.now()));
    }
    return this.#refused(service, `answered ${status}`);
  }

  #failed(service: string, why: string, asked: number | undefined): Outcome {
    this.counts.failed++;
    this.#log(service, why, 'a push service fails: it is tried again, at longer and longer intervals');
    return { kind: 'failed', asked };
  }

  /**
   * A message that is wrong, or a key or a clock of this service: the same request would be refused for ever, and whoever
   * is written to next is notified of what is unread in all. So it is given up, and an operator is told.
   */
  #refused(service: string, why: string): Outcome {
    this.counts.refused++;
    this.#log(service, why, 'a push service refuses a notification: it is given up');
    return { kind: 'refused' };
  }

  /** Once for each reason: there may be as many messages as there are devices. */
  #log(service: string, why: string, message: string): void {
    let logged = this.#logged.get(service);
    if (logged === undefined) this.#logged.set(service, (logged = new Set()));
    if (logged.has(why) || logged.size >= MOST_REASONS) return;
    logged.add(why);
    this.#parts.logger.warn({ service, why }, message);
  }
}

/** A message with the keys that its device has by now. */
interface SignedPush {
  readonly subscription: PushSubscription;
  readonly push: Push;
}
