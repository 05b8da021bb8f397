import type { Database } from 'better-sqlite3';
import type { Logger } from 'pino';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

/** A clock is believed once it has shown the same for so long, by the clock that nobody can set. */
const HELD_HOURS = 24;

/** A clock that gains more than this was set forward. */
const SET_MILLISECONDS = 1000;

/** A start is doubtful if the newest message lies further away: a log may well be idle over a long weekend. */
const DOUBTFUL_MILLISECONDS = 3 * DAY;

/** A message is stored at most so long after its `createdAt`, unless the disk hangs. */
export const LATE_MILLISECONDS = 60_000;

/** What retention goes by; times in milliseconds since the Unix epoch. */
export interface RetentionTime {
  /** The time that has passed for certain. */
  readonly held: number;
  /** What the clock shows. It holds for what was stored since it was last set forward. */
  readonly shown: number;
  /** From this id on messages were stored since the clock was last set forward; their expiry goes by `shown`. */
  readonly shownFrom: number;
}

/**
 * The time of retention, whose purges cannot be undone. It never runs ahead of the machine's clock, and a clock that is
 * set forward takes effect a day later, if it still shows that: in any 24 hours as much time passes as CLOCK_MONOTONIC
 * counts, at most.
 */
export class RetentionClock {
  readonly #monotonic: () => number;
  /** The least that the clock was ahead of the monotonic one, in each of the last hours. */
  readonly #leasts = new Map<number, number>();
  /** How far the clock was ahead of the monotonic one when it was last set. */
  #set: number | undefined;
  #shownFrom = 0;
  #shown = 0;

  /**
   * @param monotonic milliseconds that only grow, as of `performance.now()`
   * @param startsAt the time to start from, if that lies before the clock
   * @param head the highest id given
   */
  constructor(monotonic: () => number, startsAt: number | undefined, head: number) {
    this.#monotonic = monotonic;
    if (startsAt === undefined) return;
    const now = monotonic();
    this.#leasts.set(hourOf(now), startsAt - now);
    this.#shownFrom = head + 1;
  }

  /**
   * Takes a reading. Call it at least once an hour, better each second.
   *
   * @param shown what the machine's clock shows
   * @param head gives the highest id given
   */
  read(shown: number, head: () => number): RetentionTime {
    const now = this.#monotonic();
    const ahead = shown - now;
    this.#shown = shown;
    this.#set ??= ahead;
    if (ahead - this.#set > SET_MILLISECONDS) this.#shownFrom = head() + 1;
    if (ahead < this.#set || ahead - this.#set > SET_MILLISECONDS) this.#set = ahead;
    const hour = hourOf(now);
    this.#leasts.set(hour, Math.min(ahead, this.#leasts.get(hour) ?? Infinity));
    for (const earlier of this.#leasts.keys()) if (earlier < hour - HELD_HOURS) this.#leasts.delete(earlier);
    return { held: now + Math.min(...this.#leasts.values()), shown, shownFrom: this.#shownFrom };
  }

  /**
   * Notes that a message was stored. One that was on its way while the clock was set forward is not of the new time.
   *
   * @param createdAt milliseconds since the Unix epoch, as the clock showed
   * @param head gives the highest id given
   */
  stored(createdAt: number, head: () => number): void {
    if (this.#shown - createdAt > LATE_MILLISECONDS) this.#shownFrom = head() + 1;
  }
}

function hourOf(monotonic: number): number {
  return Math.floor(monotonic / HOUR);
}

/** What a start looks at. */
interface ClockStart {
  readonly retention: { readonly days: number };
  readonly trustsClock?: boolean;
  readonly logger: Logger;
  readonly now: () => number;
}

/**
 * Compares the clock with the log at a start: if retention would remove something, and the time that it went by last (or
 * the newest message, if that is not known) lies far in the past, either the log was idle or the clock is wrong. That is
 * logged, as is a newest message of the future.
 *
 * @returns the time that retention starts from, in milliseconds since the Unix epoch; `undefined`: what the clock shows
 */
export function startOfRetention(database: Database, start: ClockStart): number | undefined {
  const { retention, trustsClock = false, logger, now } = start;
  const newest = database
    .prepare<[], number>('SELECT createdAt FROM messages ORDER BY id DESC LIMIT 1')
    .pluck()
    .get();
  const clock = now();
  if (trustsClock || newest === undefined) return undefined;
  if (newest - clock > DOUBTFUL_MILLISECONDS) {
    logger.warn(
      { clock: new Date(clock), newest: new Date(newest) },
      'the clock is wrong, or was: the newest message lies days ahead of it. Nothing is removed too early. Set the clock',
    );
  }
  const noted = database.prepare<[], number | null>('SELECT retentionTime FROM position').pluck().get();
  const last = noted ?? newest;
  if (clock - last <= DOUBTFUL_MILLISECONDS || !removesSomething(database, retention.days, clock))
    return undefined;
  logger.warn(
    { clock: new Date(clock), last: new Date(last) },
    'the clock is days ahead of when the log was last in use: it was idle, or the clock is wrong. So that nothing is removed ' +
      'by a wrong clock, retention and expiry go on from that time, and by the clock only after a day. If the clock is ' +
      'right, start with RETENTION_CLOCK=trusted to remove what is due now',
  );
  return last;
}

/** Whether by this clock there is something to remove. */
function removesSomething(database: Database, days: number, clock: number): boolean {
  const expired = database.prepare<[number], number>('SELECT 1 FROM messages WHERE expiresAt <= ? LIMIT 1');
  if (expired.get(clock) !== undefined) return true;
  const oldest = database.prepare<[], number>('SELECT createdAt FROM messages ORDER BY id LIMIT 1').pluck();
  return days > 0 && (oldest.get() ?? clock) < clock - days * DAY;
}
