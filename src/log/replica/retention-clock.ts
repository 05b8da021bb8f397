import type { Database } from 'better-sqlite3';
import type { Logger } from 'pino';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

/** A clock is trusted after it has kept its setting for this long, by the monotonic clock, which nobody can set. */
const HELD_HOURS = 24;

/** A clock that gains more than this on the monotonic clock was set forward. */
const SET_MILLISECONDS = 1000;

/**
 * The clock is doubted at a start if the newest message is further away than this. A log may be idle over a long
 * weekend.
 */
const DOUBTFUL_MILLISECONDS = 3 * DAY;

/** The maximum time from a message's `createdAt` until it is stored, unless the disk hangs. */
export const LATE_MILLISECONDS = 60_000;

/** The times of retention, in milliseconds since the Unix epoch. */
export interface RetentionTime {
  /** A time that has certainly been reached. */
  readonly held: number;
  /** The clock's time. It applies only to messages stored since the clock was last set forward. */
  readonly shown: number;
  /** The first id stored since the clock was last set forward. Messages from this id on expire by `shown`. */
  readonly shownFrom: number;
}

/**
 * The time that retention goes by. It is cautious, since purges cannot be undone: it never runs ahead of the machine's
 * clock, and if the clock is set forward, it follows only a day later, if the clock has kept that setting. In any 24
 * hours it advances by no more than CLOCK_MONOTONIC does.
 */
export class RetentionClock {
  readonly #monotonic: () => number;
  /** The smallest lead of the clock over the monotonic one in each of the last hours. */
  readonly #smallestLeads = new Map<number, number>();
  /** The smallest of `#smallestLeads`. */
  #smallestLead = Infinity;
  /** The clock's lead over the monotonic one when it was last set. */
  #set: number | undefined;
  #shownFrom = 0;
  #shown = 0;

  /**
   * @param monotonic a monotonic clock in milliseconds, such as `performance.now()`
   * @param startsAt the time to start from, if it is before the clock's time
   * @param head the highest assigned id
   */
  constructor(monotonic: () => number, startsAt: number | undefined, head: number) {
    this.#monotonic = monotonic;
    if (startsAt === undefined) return;
    const now = monotonic();
    this.#note(hourOf(now), startsAt - now);
    this.#shownFrom = head + 1;
  }

  /**
   * Reads the clock. Call it at least once an hour, preferably every second.
   *
   * @param shown the machine's clock, in milliseconds since the Unix epoch
   * @param head returns the highest assigned id
   */
  read(shown: number, head: () => number): RetentionTime {
    const now = this.#monotonic();
    const ahead = shown - now;
    this.#shown = shown;
    this.#set ??= ahead;
    if (ahead - this.#set > SET_MILLISECONDS) this.#shownFrom = head() + 1;
    if (ahead < this.#set || ahead - this.#set > SET_MILLISECONDS) this.#set = ahead;
    this.#note(hourOf(now), ahead);
    return { held: now + this.#smallestLead, shown, shownFrom: this.#shownFrom };
  }

  #note(hour: number, lead: number): void {
    if (lead >= (this.#smallestLeads.get(hour) ?? Infinity)) return;
    this.#smallestLeads.set(hour, lead);
    for (const earlier of this.#smallestLeads.keys())
      if (earlier < hour - HELD_HOURS) this.#smallestLeads.delete(earlier);
    this.#smallestLead = Math.min(...this.#smallestLeads.values());
  }

  /**
   * Notes that a message was stored. A message accepted before the clock was set forward does not go by the new time.
   *
   * @param createdAt milliseconds since the Unix epoch, by the clock
   * @param head returns the highest assigned id
   */
  stored(createdAt: number, head: () => number): void {
    if (this.#shown - createdAt > LATE_MILLISECONDS) this.#shownFrom = head() + 1;
  }
}

function hourOf(monotonic: number): number {
  return Math.floor(monotonic / HOUR);
}

/** The settings of a start. */
interface ClockStart {
  readonly retention: { readonly days: number };
  readonly trustsClock?: boolean;
  readonly logger: Logger;
  readonly now: () => number;
}

/**
 * Compares the clock with the log at a start. If retention would remove something, and the time that it last went by
 * (or that of the newest message, if unknown) is far in the past, then either the log was idle or the clock is wrong.
 * Logs a warning in that case, and also if the newest message is from the future.
 *
 * @returns the time that retention starts from, in milliseconds since the Unix epoch; `undefined` for the clock's time
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
      'the clock is or was wrong: the newest message is days ahead of it. Nothing is removed too early. Set the clock',
    );
  }
  const noted = database.prepare<[], number | null>('SELECT retentionTime FROM position').pluck().get();
  const last = noted ?? newest;
  if (clock - last <= DOUBTFUL_MILLISECONDS || !removesSomething(database, retention.days, clock))
    return undefined;
  logger.warn(
    { clock: new Date(clock), last: new Date(last) },
    'the clock is days ahead of the last use of the log: the log was idle, or the clock is wrong. So that a wrong clock ' +
      'removes nothing, retention and expiry continue from that time, and follow the clock only after a day. If the ' +
      'clock is right, start with RETENTION_CLOCK=trusted to remove what is due now',
  );
  return last;
}

/** Returns whether retention or expiry would remove something by this clock. */
function removesSomething(database: Database, days: number, clock: number): boolean {
  const expired = database.prepare<[number], number>('SELECT 1 FROM messages WHERE expiresAt <= ? LIMIT 1');
  if (expired.get(clock) !== undefined) return true;
  const oldest = database.prepare<[], number>('SELECT createdAt FROM messages ORDER BY id LIMIT 1').pluck();
  return days > 0 && (oldest.get() ?? clock) < clock - days * DAY;
}
