import type { Logger } from 'pino';
import { LEASE_MILLISECONDS, type LeaseKey, type LeaseKeyState, type LeaseRecord } from './lease-key.ts';

/** The holder stops this much early by its own clock, so that it has stopped when another node takes the lease. */
const MARGIN_MILLISECONDS = 500;

/** The interval at which the holder writes the key again. */
const RENEW_MILLISECONDS = 1000;

/** The pause after a failed write of the holder. */
const AGAIN_MILLISECONDS = 200;

/** The interval at which other nodes look at the key. */
const LOOK_MILLISECONDS = 400;

/**
 * After a hint that the key was removed, another node looks at this interval, this many times: the removal may still be
 * under way.
 */
const HINT_MILLISECONDS = 15;
const HINT_LOOKS = 10;

/** A holder that cannot begin its duties within this time gives the lease back, and does not try again for a while. */
const BEGIN_MILLISECONDS = 10_000;
const AWAY_MILLISECONDS = 5000;

/** The time after which a warning is logged if the key cannot be read or written. */
const MISSED_MILLISECONDS = 10_000;

/** The options of a lease. */
export interface LeaseOptions {
  readonly key: LeaseKey;
  /** The random id of this node, new at each start. */
  readonly id: string;
  /** The name of this node, for people. */
  readonly node: string;
  /** Returns why this node must not hold the lease; `undefined` if it may. */
  readonly unfit: () => string | undefined;
  /**
   * Settles when this node may begin its duties, having applied everything that was in the log when it took the lease.
   *
   * @throws {Error} if that takes too long or cannot be determined
   */
  readonly begin: (signal: AbortSignal) => Promise<void>;
  readonly logger: Logger;
  /** Returns the milliseconds of a monotonic clock, such as `performance.now()`. */
  readonly clock?: () => number;
}

/**
 * A lease that at most one node of a cluster holds. The holder writes a key every second. If it stops, the key expires,
 * and another node writes its own. The holder's term ends by its own monotonic clock before the key can expire, counted
 * from when it sent the write, whatever the answers say. A machine that was suspended may notice too late, so
 * everything that the holder does must be harmless if two nodes do it.
 */
export class Lease {
  readonly #options: LeaseOptions;
  readonly #clock: () => number;
  readonly #id: string;
  readonly #holdListeners: (() => void)[] = [];
  readonly #loseListeners: (() => void)[] = [];
  /** The last known state of the key; `undefined` if a write has failed since. */
  #known: LeaseKeyState | undefined;
  #holder: LeaseRecord | undefined;
  /** The times at which writes were sent that may now be in the key, by their numbers. */
  readonly #sent = new Map<number, number>();
  #writes = 0;
  /** The end of this node's term, by the clock; in the past if it does not hold the lease. */
  #until = -Infinity;
  /** Aborted when this node's term ends; `undefined` while it has none. */
  #term: AbortController | undefined;
  /** Whether the duties have begun. */
  #begun = false;
  #expiry: NodeJS.Timeout | undefined;
  /** No attempt is made before this time. */
  #awayUntil = -Infinity;
  /** The time of the last answer. */
  #answeredAt: number;
  #missed = false;
  #stopping = false;
  #wake: () => void = () => undefined;
  #hints = 0;
  #running: Promise<void> | undefined;

  constructor(options: LeaseOptions) {
    this.#options = options;
    this.#id = options.id;
    this.#clock = options.clock ?? (() => performance.now());
    this.#answeredAt = this.#clock();
  }

  /** Calls `listener` when this node begins the holder's duties. */
  onHold(listener: () => void): void {
    this.#holdListeners.push(listener);
  }

  /** Calls `listener` when this node must stop the holder's duties, once after each `onHold`. */
  onLose(listener: () => void): void {
    this.#loseListeners.push(listener);
  }

  /**
   * Whether this node performs the holder's duties. It is `false` as soon as the term has ended, even before listeners
   * are called.
   */
  get isHeld(): boolean {
    return this.#begun && this.#clock() < this.#until;
  }

  /** The holder, as far as this node knows; `undefined` if there is none, or the key cannot be read. */
  get holder(): LeaseRecord | undefined {
    return this.#clock() - this.#answeredAt > LEASE_MILLISECONDS ? undefined : this.#holder;
  }

  /** Starts trying to get the lease. */
  start(): void {
    this.#options.key.onRemoved(() => {
      if (this.#term !== undefined) return;
      this.#hints = HINT_LOOKS;
      this.#wake();
    });
    this.#running ??= this.#run();
  }

  /** Ends the duties, if they have begun, and gives the lease back. Settles when another node can take it. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#wake();
    await this.#running;
    await this.#giveBack('the service is shutting down');
  }

  async #run(): Promise<void> {
    const isStopping = (): boolean => this.#stopping;
    while (!isStopping()) {
      const pause = await this.step();
      if (!isStopping()) await this.#pause(pause);
    }
  }

  /** Waits for a time, or until `#wake` is called. */
  #pause(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, milliseconds).unref();
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /**
   * Does one step: takes the lease, renews it, or checks who holds it. Only `start` and tests call it.
   *
   * @returns the milliseconds until the next step
   */
  async step(): Promise<number> {
    this.#endIfExpired();
    const unfit = this.#options.unfit();
    if (unfit !== undefined) await this.#giveBack(unfit);
    try {
      this.#known ??= await this.#read();
      const { record } = this.#known;
      this.#adopt(record);
      const mayWrite = record === undefined || record.id === this.#id;
      if (!mayWrite || unfit !== undefined || this.#clock() < this.#awayUntil) {
        this.#known = undefined;
        return this.#pauseOfOthers();
      }
      await this.#write(this.#known.revision);
      return RENEW_MILLISECONDS;
    } catch (error) {
      this.#known = undefined;
      this.#noteMissed(error);
      return this.#term === undefined ? this.#pauseOfOthers() : AGAIN_MILLISECONDS;
    } finally {
      this.#endIfExpired();
    }
  }

  #pauseOfOthers(): number {
    return this.#hints-- > 0 ? HINT_MILLISECONDS : LOOK_MILLISECONDS;
  }

  async #read(): Promise<LeaseKeyState> {
    const state = await this.#options.key.read();
    this.#answered();
    this.#holder = state.record;
    return state;
  }

  /**
   * Handles a record that was read. A write of this process whose answer was lost counts from the moment it was sent.
   */
  #adopt(record: LeaseRecord | undefined): void {
    if (record?.id === this.#id) this.#extend(this.#sent.get(record.write) ?? -Infinity);
    else if (record !== undefined) this.#end('another node has taken it');
  }

  async #write(revision: number): Promise<void> {
    const { key, node } = this.#options;
    const record = { id: this.#id, node, write: ++this.#writes };
    const sentAt = this.#clock();
    // Older writes whose answers were lost no longer matter.
    for (const [write, time] of this.#sent) if (time < sentAt - LEASE_MILLISECONDS) this.#sent.delete(write);
    this.#sent.set(record.write, sentAt);
    const written = await key.write(record, revision);
    this.#answered();
    this.#known = { record, revision: written };
    this.#holder = record;
    this.#extend(sentAt);
  }

  /** Extends this node's term, or begins a new one. A term that has ended is not continued. */
  #extend(sentAt: number): void {
    const until = sentAt + LEASE_MILLISECONDS - MARGIN_MILLISECONDS;
    this.#endIfExpired();
    const now = this.#clock();
    if (this.#stopping || until <= now || until <= this.#until || now < this.#awayUntil) return;
    this.#until = until;
    clearTimeout(this.#expiry);
    this.#expiry = setTimeout(() => this.#endIfExpired(), until - this.#clock() + 1).unref();
    if (this.#term !== undefined) return;
    this.#term = new AbortController();
    void this.#begin(this.#term);
  }

  async #begin(term: AbortController): Promise<void> {
    const { begin, logger } = this.#options;
    const late = AbortSignal.timeout(BEGIN_MILLISECONDS);
    try {
      await begin(AbortSignal.any([term.signal, late]));
    } catch (error) {
      if (this.#term !== term) return;
      logger.debug({ err: error }, 'this node cannot begin the duties of the lease holder');
      this.#awayUntil = this.#clock() + AWAY_MILLISECONDS;
      await this.#giveBack('it has not caught up');
      return;
    }
    this.#endIfExpired();
    if (this.#term !== term) return;
    this.#begun = true;
    logger.info('this node holds the lease of the cluster: it removes old messages and sends notifications');
    for (const listener of this.#holdListeners) listener();
  }

  #endIfExpired(): void {
    if (this.#term !== undefined && this.#clock() >= this.#until)
      this.#end('it could not be renewed in time');
  }

  #end(why: string): void {
    if (this.#term === undefined) return;
    this.#term.abort();
    this.#term = undefined;
    this.#until = -Infinity;
    clearTimeout(this.#expiry);
    if (!this.#begun) return;
    this.#begun = false;
    this.#options.logger.info({ why }, 'this node no longer holds the lease of the cluster');
    for (const listener of this.#loseListeners) listener();
  }

  /** Ends this node's term, and removes the key if it is this node's. */
  async #giveBack(why: string): Promise<void> {
    this.#end(why);
    const known = this.#known;
    this.#known = undefined;
    if (known?.record?.id !== this.#id) return;
    try {
      await this.#options.key.remove(known.revision);
      this.#holder = undefined;
    } catch (error) {
      this.#options.logger.debug({ err: error }, 'the lease could not be given back: it expires by itself');
    }
  }

  #answered(): void {
    this.#answeredAt = this.#clock();
    if (this.#missed) this.#options.logger.info('the lease of the cluster can be read again');
    this.#missed = false;
  }

  /** Logs once that the key cannot be read or written. */
  #noteMissed(error: unknown): void {
    if (this.#missed || this.#clock() - this.#answeredAt < MISSED_MILLISECONDS) return;
    this.#missed = true;
    this.#options.logger.warn(
      { err: error },
      'the lease of the cluster cannot be read: while no node holds it, old messages stay and no notification is sent',
    );
  }
}
