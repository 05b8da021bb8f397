import { Queue } from './queue.ts';

/** The limits on requests in flight, in total and to one push service. */
export interface ConcurrencyLimits {
  readonly total: number;
  readonly perService: number;
}

interface Service {
  inFlight: number;
  readonly waiting: Queue<() => void>;
}

/**
 * A limiter of requests in flight. Each push service has its own small limit, so one that hangs does not block the others.
 * Requests to one service start in order, and services take turns.
 */
export class ConcurrencyLimiter {
  /** The number of requests in flight. */
  inFlight = 0;
  /** The number of requests that wait. */
  waiting = 0;
  readonly #limits: ConcurrencyLimits;
  /** Services with a request in flight or waiting, in the order of their turns. */
  readonly #services = new Map<string, Service>();

  constructor(limits: ConcurrencyLimits) {
    this.#limits = limits;
  }

  /** Waits until a request to a service may start. Call `release` when it has ended. */
  async acquire(name: string): Promise<void> {
    let service = this.#services.get(name);
    if (service === undefined) this.#services.set(name, (service = { inFlight: 0, waiting: new Queue() }));
    const { waiting } = service;
    this.waiting++;
    const started = new Promise<void>((resolve) => waiting.push(resolve));
    this.#startWaiting();
    await started;
  }

  /** Lets the next request start in place of one that has ended. */
  release(name: string): void {
    const service = this.#services.get(name);
    if (service === undefined) return;
    this.inFlight--;
    service.inFlight--;
    this.#startWaiting();
    if (service.inFlight === 0 && service.waiting.length === 0) this.#services.delete(name);
  }

  /** Starts waiting requests, as far as the limits allow. */
  #startWaiting(): void {
    const { total, perService } = this.#limits;
    // A service that is moved to the end is visited again.
    for (const [name, service] of this.#services) {
      if (this.inFlight >= total) return;
      if (service.inFlight >= perService) continue;
      const start = service.waiting.shift();
      if (start === undefined) continue;
      this.inFlight++;
      service.inFlight++;
      this.waiting--;
      this.#services.delete(name);
      this.#services.set(name, service);
      start();
    }
  }
}
