import type { Logger } from 'pino';
import type { PushSubscription } from '../log/push-store.ts';
import type { PushAnswer, PushClient } from './push-client.ts';
import type { PushHosts } from './push-hosts.ts';
import { type PushMessage, pushRequest } from './push-request.ts';
import { parseRetryAfter } from './retry.ts';
import { ConcurrencyLimiter } from './concurrency-limiter.ts';
import type { VapidSigner } from './vapid-signer.ts';

/**
 * The outcome of sending to a device: `sent`, the push service has the message; `unneeded`, the message was no longer
 * needed when its turn came; `gone`, the device no longer exists; `refused`, a retry would be refused, too; `failed`, it
 * must be retried; `dropped`, the service is shutting down, or another node sends.
 */
export type SendOutcome =
  | { readonly kind: 'sent' | 'unneeded' | 'gone' | 'refused' | 'dropped' }
  | {
      readonly kind: 'failed';
      /** Milliseconds that the push service asked to wait. */
      readonly retryAfter: number | undefined;
    };

/** A message to send; `undefined` if it is no longer needed, `later` if it cannot be sent now. */
export type PreparedPush = AddressedPush | 'later' | undefined;

/** The number of attempts by outcome. */
export type PushCounts = Record<'sent' | 'gone' | 'refused' | 'failed', number>;

const LIMITS = { total: 100, perService: 20 };

/** The name in the log for all hosts that are not in PUSH_HOSTS. There may be very many of them. */
const OTHERS = 'others';

/** The limit on lines in the log for one push service until it accepts messages again. */
const MAX_REASONS = 20;

export interface PushSenderParts {
  readonly client: PushClient;
  readonly hosts: PushHosts;
  readonly signer: VapidSigner;
  readonly logger: Logger;
  /** Returns milliseconds since the Unix epoch. */
  readonly now: () => number;
  /** In a cluster, returns whether this node sends at this moment. */
  readonly maySend?: (() => boolean) | undefined;
}

/** The sender of messages to push services. It sends a few at a time, and interprets the answers. */
export class PushSender {
  /** The attempts since the start. */
  readonly counts: PushCounts = { sent: 0, gone: 0, refused: 0, failed: 0 };
  readonly #parts: PushSenderParts;
  readonly #limiter = new ConcurrencyLimiter(LIMITS);
  /** The reasons that were logged for each push service since it last accepted a message. */
  readonly #loggedReasons = new Map<string, Set<string>>();
  #closed = false;
  #isPaused = false;
  /** Called when no request is in flight any more. */
  #onIdle: (() => void) | undefined;

  constructor(parts: PushSenderParts) {
    this.#parts = parts;
  }

  /** The number of requests in flight. */
  get inFlight(): number {
    return this.#limiter.inFlight;
  }

  /** The number of messages that wait for other requests to their push service. */
  get waiting(): number {
    return this.#limiter.waiting;
  }

  /**
   * Sends a message to a device.
   *
   * @param prepare makes the message when its turn has come
   */
  async send(endpoint: string, prepare: () => Promise<PreparedPush>): Promise<SendOutcome> {
    const { client, hosts, signer, now } = this.#parts;
    const target = hosts.read(endpoint);
    // PUSH_HOSTS may have changed since the device subscribed.
    if (typeof target === 'string')
      return this.#refused(OTHERS, `${new URL(endpoint).hostname} is not in PUSH_HOSTS`);
    const { url, service } = target;
    await this.#limiter.acquire(service);
    try {
      if (this.#isStopped()) return { kind: 'dropped' };
      const prepared = await prepare();
      if (this.#isStopped()) return { kind: 'dropped' };
      if (prepared === undefined) return { kind: 'unneeded' };
      if (prepared === 'later') return { kind: 'failed', retryAfter: undefined };
      const request = await pushRequest(prepared.subscription, prepared.push, signer, now());
      if (this.#isStopped()) return { kind: 'dropped' };
      const answer = await client.post(url, request);
      return this.#outcomeOf(service, answer);
    } catch (error) {
      if (this.#isStopped()) return { kind: 'dropped' };
      const { code, message } = error as NodeJS.ErrnoException;
      return this.#failed(service, `cannot be reached (${code ?? message})`, undefined);
    } finally {
      this.#limiter.release(service);
      if (this.inFlight === 0) this.#onIdle?.();
    }
  }

  /** Sends nothing until `resume`, since another node sends. Aborts requests in flight, which are `dropped`. */
  pause(): void {
    this.#isPaused = true;
    this.#parts.client.destroy();
  }

  /** Sends again after `pause`. */
  resume(): void {
    this.#isPaused = false;
  }

  /** Sends nothing more, and waits for requests in flight. After this time they are aborted, and are `dropped`. */
  async close(milliseconds: number): Promise<void> {
    const { client } = this.#parts;
    this.#closed = true;
    if (this.inFlight > 0) {
      const abort = setTimeout(() => client.destroy(), milliseconds);
      await new Promise<void>((resolve) => (this.#onIdle = resolve));
      clearTimeout(abort);
    }
    client.destroy();
  }

  #isStopped(): boolean {
    return this.#closed || this.#isPaused || this.#parts.maySend?.() === false;
  }

  #outcomeOf(service: string, { status, retryAfter }: PushAnswer): SendOutcome {
    if (status >= 200 && status < 300) {
      this.counts.sent++;
      if (this.#loggedReasons.delete(service))
        this.#parts.logger.info({ service }, 'the push service accepts messages again');
      return { kind: 'sent' };
    }
    // 404 by RFC 8030 §7.3; most push services answer 410.
    if (status === 404 || status === 410) {
      this.counts.gone++;
      return { kind: 'gone' };
    }
    if (status === 429 || status >= 500) {
      return this.#failed(service, `answered ${status}`, parseRetryAfter(retryAfter, this.#parts.now()));
    }
    return this.#refused(service, `answered ${status}`);
  }

  #failed(service: string, why: string, retryAfter: number | undefined): SendOutcome {
    this.counts.failed++;
    this.#log(service, why, 'a push service fails: trying again, at increasing intervals');
    return { kind: 'failed', retryAfter };
  }

  /**
   * Gives a message up, and tells the operator: the message, a key or the clock of this service is wrong, and a retry would
   * be refused, too. The next notification shows the number of all unread messages.
   */
  #refused(service: string, why: string): SendOutcome {
    this.counts.refused++;
    this.#log(service, why, 'a push service refused a notification: it is given up');
    return { kind: 'refused' };
  }

  /** Logs each reason once: there may be as many messages as devices. */
  #log(service: string, why: string, message: string): void {
    let logged = this.#loggedReasons.get(service);
    if (logged === undefined) this.#loggedReasons.set(service, (logged = new Set()));
    if (logged.has(why) || logged.size >= MAX_REASONS) return;
    logged.add(why);
    this.#parts.logger.warn({ service, why }, message);
  }
}

/** A message with the current keys of its device. */
interface AddressedPush {
  readonly subscription: PushSubscription;
  readonly push: PushMessage;
}
