import type { Logger } from 'pino';
import { LEASE_MILLISECONDS, type LeaseKey, type LeaseKeyState, type LeaseRecord } from './lease-key.ts';

/** The holder stops this much earlier by its own clock, so that it has stopped when another node takes the lease. */
const MARGIN_MILLISECONDS = 500;

/** The holder writes the key again after this time. */
const RENEW_MILLISECONDS = 1000;

/** The holder tries again after this time if a write failed. */
const AGAIN_MILLISECONDS = 200;

/** Other nodes look at the key this often. */
const LOOK_MILLISECONDS = 400;

/** After the key was removed, another node looks this often and this many times: the removal may be under way. */
const HINT_MILLISECONDS = 15;
const HINT_LOOKS = 10;

/** A holder that is not ready to begin within this time gives the lease back, and stays away for a while. */
const BEGIN_MILLISECONDS = 10_000;
const AWAY_MILLISECONDS = 5000;

/** A key that could not be read or written for this long is logged. */
const MISSED_MILLISECONDS = 10_000;

/** The options of a lease. */
export interface LeaseOptions {
  readonly key: LeaseKey;
  /** The id of this node: random for each start. */
  readonly id: string;
  /** The name of this node, for people. */
  readonly node: string;
  /** Returns why this node must not hold the lease; `undefined` if it may. */
  readonly unfit: () => string | undefined;
  /**
   * Settles when this node may begin its duties: it has applied everything that was in the log when the lease was taken.
   *
   * @throws {Error} if that takes too long or cannot be known
   */
  readonly begin: (signal: AbortSignal) => Promise<void>;
  readonly logger: Logger;
  /** Returns milliseconds that only grow, such as `performance.now()`. */
  readonly clock?: () => number;
}

/**
 * A lease that at most one node of a cluster holds. The holder writes a key every second; if it stops, the key vanishes, and
 * another node writes its own. The holder ends its time by its own monotonic clock before the key can vanish, counted from
 * the moment at which it sent the write, whatever the answers say. A machine that was suspended may notice too late: all
 * that the holder does must be harmless if two nodes do it.
 */
export class Lease {
  readonly #options: LeaseOptions;
  readonly #clock: () => number;
  readonly #id: string;
  readonly #holdListeners: (() => void)[] = [];
  readonly #loseListeners: (() => void)[] = [];
  /** The state of the key as it was known last; `undefined` if a write failed since. */
  #known: LeaseKeyState | undefined;
  #holder: LeaseRecord | undefined;
  /** When writes were sent that may stand in the key, by their numbers. */
  readonly #sent = new Map<number, number>();
  #writes = 0;
  /** The end of this node's time, by the clock; past if it does not hold the lease. */
  #until = -Infinity;
  /** Aborted when this node's time has ended; `undefined` while it has none. */
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

  /** Calls `listener` when this node begins to do what the holder alone does. */
  onHold(listener: () => void): void {
    this.#holdListeners.push(listener);
  }

  /** Calls `listener` when this node must stop that: after each `onHold` once. */
  onLose(listener: () => void): void {
    this.#loseListeners.push(listener);
  }

  /** Whether this node does what the holder alone does. It is `false` as soon as its time has ended, events or not. */
  get isHeld(): boolean {
    return this.#begun && this.#clock() < this.#until;
  }

  /** The holder, as this node knows it; `undefined` if there is none, or it cannot be asked. */
  get holder(): LeaseRecord | undefined {
    return this.#clock() - this.#answeredAt > LEASE_MILLISECONDS ? undefined : this.#holder;
  }

  /** Begins to try for the lease. */
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

  /** Waits, unless it is woken earlier. */
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
   * Does one step: takes the lease, holds it longer, or looks who has it. Only `start` and tests call it.
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

  /** Takes over what was read. A write of this process whose answer was lost counts from the moment it was sent. */
  #adopt(record: LeaseRecord | undefined): void {
    if (record?.id === this.#id) this.#extend(this.#sent.get(record.write) ?? -Infinity);
    else if (record !== undefined) this.#end('another node has taken it');
  }

  async #write(revision: number): Promise<void> {
    const { key, node } = this.#options;
    const record = { id: this.#id, node, write: ++this.#writes };
    const sentAt = this.#clock();
    // A write whose answer was lost is of no use after this time.
    for (const [write, time] of this.#sent) if (time < sentAt - LEASE_MILLISECONDS) this.#sent.delete(write);
    this.#sent.set(record.write, sentAt);
    const written = await key.write(record, revision);
    this.#answered();
    this.#known = { record, revision: written };
    this.#holder = record;
    this.#extend(sentAt);
  }

  /** Prolongs this node's time, or begins it. A time that has ended is not continued: another one begins. */
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
      logger.debug({ err: error }, 'this node cannot begin what the holder of the lease does');
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
    this.#options.logger.info({ why }, 'this node does not hold the lease of the cluster any more');
    for (const listener of this.#loseListeners) listener();
  }

  /** Ends this node's time, and removes the key if it is this node's. */
  async #giveBack(why: string): Promise<void> {
    this.#end(why);
    const known = this.#known;
    this.#known = undefined;
    if (known?.record?.id !== this.#id) return;
    try {
      await this.#options.key.remove(known.revision);
      this.#holder = undefined;
    } catch (error) {
      this.#options.logger.debug({ err: error }, 'the lease could not be given back: it ends by itself');
    }
  }

  #answered(): void {
    this.#answeredAt = this.#clock();
    if (this.#missed) this.#options.logger.info('the lease of the cluster can be asked for again');
    this.#missed = false;
  }

  /** Logs once that the key cannot be used. A write that lost against another node's is an answer, too. */
  #noteMissed(error: unknown): void {
    if (this.#missed || this.#clock() - this.#answeredAt < MISSED_MILLISECONDS) return;
    this.#missed = true;
    this.#options.logger.warn(
      { err: error },
      'the lease of the cluster cannot be asked for: while no node holds it, old messages stay and no notification is sent',
    );
  }
}
