import type { Logger } from 'pino';
import type { Turns } from '../hub/turns.ts';
import type { PushPlace } from '../log/push-store.ts';
import { inTurns } from './in-turns.ts';

/** Subscriptions that are looked up in one piece: about a millisecond. */
const PAGE = 200;

/** A log that cannot be read is tried again after this. */
const RETRY_MILLISECONDS = 5000;

/** Reads a page of subscriptions: those after an id, at most `limit`. */
export type ReadPage = (after: number, limit: number) => readonly PushPlace[];

/** Goes through subscriptions page by page, in turns: there may be very many of one recipient. */
export class Walks {
  readonly #turns: Turns;
  readonly #logger: Logger;
  readonly #onFound: (place: PushPlace) => void;
  /** Those that are under way, and whether to begin again at the end. */
  readonly #underWay = new Map<string, boolean>();
  #ended = false;

  /** @param onFound called for each subscription */
  constructor(turns: Turns, logger: Logger, onFound: (place: PushPlace) => void) {
    this.#turns = turns;
    this.#logger = logger;
    this.#onFound = onFound;
  }

  /** Goes through subscriptions once; once more if they are being gone through already. */
  go(key: string, read: ReadPage): void {
    const isUnderWay = this.#underWay.has(key);
    this.#underWay.set(key, isUnderWay);
    if (!isUnderWay) void this.#walk(key, read);
  }

  /** Ends those that are under way. */
  end(): void {
    this.#ended = true;
  }

  async #walk(key: string, read: ReadPage): Promise<void> {
    try {
      do {
        this.#underWay.set(key, false);
        await inTurns(this.#turns, this.#pages(read));
      } while (this.#underWay.get(key) === true);
      this.#underWay.delete(key);
    } catch (error) {
      this.#logger.error({ err: error }, 'subscriptions to notifications cannot be looked up: tried again');
      setTimeout(() => void this.#walk(key, read), RETRY_MILLISECONDS).unref();
    }
  }

  *#pages(read: ReadPage): Generator<undefined, void> {
    for (let after = 0; !this.#ended;) {
      const places = read(after, PAGE);
      for (const place of places) this.#onFound(place);
      const last = places.at(-1);
      if (last === undefined || places.length < PAGE) return;
      after = last.id;
      yield;
    }
  }
}
