import { Queue } from './queue.ts';

/** How many requests may be under way at once, in all and to one push service. */
export interface SlotLimits {
  readonly inAll: number;
  readonly perService: number;
}

interface Service {
  taken: number;
  readonly waiting: Queue<() => void>;
}

/**
 * The places for requests that are under way. A push service has its own few, so that one that hangs holds up no
 * other. Who waits gets a place in order, and the push services take turns.
 */
export class Slots {
  /** How many are taken. */
  taken = 0;
  /** How many wait for a place. */
  waiting = 0;
  readonly #limits: SlotLimits;
  /** Those with a place that is taken, or somebody who waits: whose turn it is comes first. */
  readonly #services = new Map<string, Service>();

  constructor(limits: SlotLimits) {
    this.#limits = limits;
  }

  /** Takes a place when there is one. Give it back with `release`. */
  async take(name: string): Promise<void> {
    let service = this.#services.get(name);
    if (service === undefined) this.#services.set(name, (service = { taken: 0, waiting: new Queue() }));
    const { waiting } = service;
    this.waiting++;
    const turn = new Promise<void>((resolve) => waiting.push(resolve));
    this.#serve();
    await turn;
  }

  /** Gives a place back. */
  release(name: string): void {
    const service = this.#services.get(name);
    if (service === undefined) return;
    this.taken--;
    service.taken--;
    this.#serve();
    if (service.taken === 0 && service.waiting.length === 0) this.#services.delete(name);
  }

  /** Gives the places that are free to those who wait. */
  #serve(): void {
    const { inAll, perService } = this.#limits;
    // What is put at the end comes round again.
    for (const [name, service] of this.#services) {
      if (this.taken >= inAll) return;
      if (service.taken >= perService) continue;
      const next = service.waiting.shift();
      if (next === undefined) continue;
      this.taken++;
      service.taken++;
      this.waiting--;
      this.#services.delete(name);
      this.#services.set(name, service);
      next();
    }
  }
}
