import { afterAll, describe, expect, test } from '@jest/globals';
import type { Database } from 'better-sqlite3';
import { pino } from 'pino';
import { RetentionClock, startOfRetention } from '../../src/log/replica/retention-clock.ts';
import { type DatedDraft, newDatabase, storeDated } from '../support/log-file.ts';
import { cleanUp } from '../support/server.ts';

const SECOND = 1000;
const HOUR = 3600 * SECOND;
const DAY = 24 * HOUR;
const START = Date.UTC(2026, 0, 1);

/** A retention clock on a machine whose clock can be set: it is read each second. */
class Machine {
  #monotonic = 5000;
  #ahead = START - 5000;
  readonly #clock: RetentionClock;

  constructor(startsAt?: number) {
    this.#clock = new RetentionClock(() => this.#monotonic, startsAt, 7);
    this.read();
  }

  /** Sets the clock by so many milliseconds. */
  set(milliseconds: number): void {
    this.#ahead += milliseconds;
  }

  /** Lets time pass. */
  pass(milliseconds: number): void {
    const step = milliseconds > HOUR ? HOUR / 4 : SECOND;
    for (let left = milliseconds; left > 0; left -= step) {
      this.#monotonic += step;
      this.read();
    }
  }

  /** A message that was accepted so many milliseconds ago is stored as the 9th. */
  store(ago: number): void {
    this.#clock.stored(this.#monotonic + this.#ahead - ago, () => 9);
  }

  /** Milliseconds since the start, by the time of retention; the head is 9. */
  read(): { held: number; shownFrom: number } {
    const { held, shownFrom } = this.#clock.read(this.#monotonic + this.#ahead, () => 9);
    return { held: held - START, shownFrom };
  }
}

describe('the time of retention', () => {
  test('the time of retention is the time of a clock that nobody sets', () => {
    const machine = new Machine();
    machine.pass(3 * DAY);
    expect(machine.read()).toEqual({ held: 3 * DAY, shownFrom: 0 });
  });

  test('the time of retention does not follow a clock that is ahead for some seconds', () => {
    const machine = new Machine();
    machine.set(40 * DAY);
    machine.pass(4 * SECOND);
    expect(machine.read().held).toBe(4 * SECOND);
    machine.set(-40 * DAY);
    machine.pass(SECOND);
    expect(machine.read().held).toBe(5 * SECOND);
  });

  test('the time of retention follows a clock that was set forward once it has shown that for a day', () => {
    const machine = new Machine();
    machine.pass(HOUR);
    machine.set(HOUR);
    machine.pass(22 * HOUR);
    expect(machine.read().held).toBe(23 * HOUR);
    machine.pass(4 * HOUR);
    expect(machine.read().held).toBe(28 * HOUR);
  });

  test('the time of retention goes back with a clock at once, and does not return with it', () => {
    const machine = new Machine();
    machine.pass(HOUR);
    machine.set(-DAY);
    machine.pass(SECOND);
    expect(machine.read().held).toBe(HOUR + SECOND - DAY);
    machine.set(DAY);
    machine.pass(SECOND);
    expect(machine.read().held).toBe(HOUR + 2 * SECOND - DAY);
  });

  test('messages stored since the clock was set forward, even in small steps, keep the time that it shows', () => {
    const machine = new Machine();
    machine.set(600);
    machine.pass(SECOND);
    expect(machine.read().shownFrom).toBe(0);
    machine.set(600);
    machine.pass(SECOND);
    expect(machine.read().shownFrom).toBe(10);
  });

  test('a message on its way while the clock was set forward keeps the held time', () => {
    const machine = new Machine();
    machine.store(SECOND);
    expect(machine.read().shownFrom).toBe(0);
    machine.store(HOUR);
    expect(machine.read().shownFrom).toBe(10);
  });

  test('the time of retention begins where a doubtful start says, and reaches the clock after a day', () => {
    const machine = new Machine(START - 9 * DAY);
    expect(machine.read()).toEqual({ held: -9 * DAY, shownFrom: 8 });
    machine.pass(23 * HOUR);
    expect(machine.read().held).toBe(23 * HOUR - 9 * DAY);
    machine.pass(3 * HOUR);
    expect(machine.read().held).toBe(26 * HOUR);
  });
});

describe('a start', () => {
  afterAll(cleanUp);

  const logOf = (...messages: DatedDraft[]): Database => {
    const database = newDatabase();
    storeDated(database, messages);
    return database;
  };
  const startOn = (
    database: Database,
    days: number,
    trustsClock = false,
  ): { from: number | undefined; lines: string[] } => {
    const lines: string[] = [];
    const logger = pino({ base: null }, { write: (line: string) => lines.push(line) });
    const from = startOfRetention(database, { retention: { days }, trustsClock, logger, now: () => START });
    return { from, lines };
  };

  test('a start whose newest message is days old is doubtful if retention or expiry would remove something', () => {
    const old = { createdAt: START - 40 * DAY };
    const newest = { createdAt: START - 9 * DAY };
    const retained = startOn(logOf(old, newest), 30);
    expect(retained.from).toBe(newest.createdAt);
    expect(retained.lines.join()).toContain('RETENTION_CLOCK=trusted');
    const expiring = startOn(logOf({ ...newest, expiresAt: START - DAY }), 0);
    expect(expiring).toMatchObject({ from: newest.createdAt, lines: [expect.any(String)] });
    expect(startOn(logOf(newest), 30)).toEqual({ from: undefined, lines: [] });
    expect(startOn(logOf(old, newest), 0)).toEqual({ from: undefined, lines: [] });
  });

  test('a start is not doubtful with an empty log, after a long weekend, or if the operator trusts the clock', () => {
    const log = logOf({ createdAt: START - 40 * DAY }, { createdAt: START - 2 * DAY });
    expect(startOn(newDatabase(), 1)).toEqual({ from: undefined, lines: [] });
    expect(startOn(log, 1)).toEqual({ from: undefined, lines: [] });
    expect(startOn(logOf({ createdAt: START - 40 * DAY }), 1, true)).toEqual({ from: undefined, lines: [] });
  });

  test('a start whose newest message is days ahead of the clock is logged, and goes by the clock', () => {
    const { from, lines } = startOn(logOf({ createdAt: START + 9 * DAY }), 1);
    expect(from).toBeUndefined();
    expect(lines.join()).toContain('the clock is or was wrong');
  });
});
