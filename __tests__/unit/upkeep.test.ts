import { afterAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { Database } from 'better-sqlite3';
import { UpkeepPace } from '../../src/log/replica/upkeep-pace.ts';
import { Upkeep, type UpkeepStep } from '../../src/log/replica/upkeep.ts';
import type { Draft } from '../../src/message.ts';
import {
  type AppendBatches,
  draft,
  newDatabase,
  prepareAppends,
  prepareEntries,
  TIME,
} from '../support/log-file.ts';
import { withRandom } from '../support/random.ts';
import { cleanUp } from '../support/server.ts';

const DAY = 86_400_000;
const NOW = Date.UTC(2026, 0, 1);

afterAll(cleanUp);

describe('upkeep', () => {
  let database: Database;
  let append: AppendBatches;
  /** A clock on which each reading takes a millisecond. */
  let time = 0;
  const clock = (): number => ++time;
  beforeEach(() => {
    database = newDatabase();
    append = prepareAppends(database);
  });

  const upkeepWith = (rule: { days?: number; messages?: number }): Upkeep => {
    const retention = { days: 0, messages: 0, ...rule };
    const apply = prepareEntries(database, (id, recipient) => upkeep.removed(id, recipient));
    const upkeep: Upkeep = new Upkeep(database, {
      retention,
      retentionFrom: undefined,
      clock,
      propose: apply,
    });
    return upkeep;
  };
  const store = (upkeep: Upkeep | undefined, drafts: readonly Draft[], at = NOW): void => {
    const [outcomes] = append([drafts], at);
    // A read marker that does not move ahead is not stored.
    for (const [index, one] of drafts.entries())
      if (typeof (outcomes as unknown[])[index] === 'number') upkeep?.stored(one, at);
  };
  /** Many messages, each of another pair. */
  const pairs = (count: number, fields: Partial<Draft> = {}): Draft[] =>
    Array.from({ length: count }, (_, index) =>
      draft({ sender: `from-${index}`, recipient: `to-${index}`, ...fields }),
    );
  const finish = (upkeep: Upkeep, now = NOW): UpkeepStep[] => {
    const steps: UpkeepStep[] = [];
    for (let more = true; more;) {
      const step = upkeep.step(now);
      steps.push(step);
      more = step.more;
    }
    return steps;
  };
  const count = (sql = ''): unknown => database.prepare(`SELECT count(*) FROM messages ${sql}`).pluck().get();
  const head = (): number => database.prepare('SELECT head FROM position').pluck().get() as number;
  const idsOf = (recipient: string): unknown[] =>
    database.prepare('SELECT id FROM messages WHERE recipient = ? ORDER BY id').pluck().all(recipient);

  test('a step of upkeep ends when its time is up, however many messages are due', () => {
    store(undefined, pairs(3000), NOW - 2 * DAY);
    const steps = finish(upkeepWith({ days: 1 }));
    expect(count()).toBe(0);
    expect(Math.max(...steps.map(({ purged }) => purged))).toBeLessThanOrEqual(5 * 20);
    expect(steps.length).toBeGreaterThan(3000 / 100);
  });

  test('a step of upkeep purges about as much as was stored since the one before, or more', () => {
    const upkeep = upkeepWith({});
    const waiting = pairs(2000, { ttl: 1 });
    store(upkeep, waiting);
    finish(upkeep);
    upkeep.tick();
    time += 2000;
    for (let round = 0; round < 4; round++) {
      store(upkeep, pairs(300, { ttl: DAY / 1000 }));
      expect(upkeep.step(NOW + 2000 + round).purged).toBeGreaterThanOrEqual(290);
    }
  });

  test('upkeep leaves appends flushed to the disk, also after it failed', () => {
    const upkeep = upkeepWith({ days: 1 });
    store(upkeep, pairs(10), NOW - 2 * DAY);
    finish(upkeep);
    expect(database.pragma('synchronous', { simple: true })).toBe(2);
    database.exec('DROP TABLE pairMessages');
    store(upkeep, pairs(10), NOW - 2 * DAY);
    upkeep.tick();
    expect(() => finish(upkeep)).toThrow();
    expect(database.pragma('synchronous', { simple: true })).toBe(2);
  });

  test('upkeep removes nothing old while the clock is ahead, and messages of that time when they expire', () => {
    const upkeep = upkeepWith({ days: 30 });
    store(upkeep, [draft(), draft({ ttl: DAY / 1000 })]);
    const at = (now: number): void => {
      upkeep.tick();
      finish(upkeep, now);
    };
    at(NOW);
    at(NOW + 40 * DAY);
    store(upkeep, [draft({ ttl: 1 })], NOW + 40 * DAY);
    expect(count()).toBe(3);
    time += 2000;
    at(NOW + 40 * DAY + 2000);
    expect(idsOf('bob')).toEqual([1, 2]);
    at(NOW + 2000);
    expect(idsOf('bob')).toEqual([1, 2]);
  });

  test('upkeep purges again everything that a failed step had purged', () => {
    store(undefined, [...pairs(40), ...pairs(40, { ttl: 1 })], NOW - 2 * DAY);
    const apply = prepareEntries(database);
    let proposed = 0;
    const upkeep = new Upkeep(database, {
      retention: { days: 1, messages: 0 },
      retentionFrom: undefined,
      clock: () => 0,
      propose(entry, at) {
        if (++proposed === 6) throw new Error('the disk is full');
        return apply(entry, at);
      },
    });
    expect(() => finish(upkeep)).toThrow('full');
    expect(count()).toBe(80);
    finish(upkeep);
    expect(count()).toBe(0);
  });

  test('upkeep makes log time follow a clock that was set back, though nothing is published', () => {
    const upkeep = upkeepWith({});
    const at = (now: number): unknown => {
      upkeep.tick();
      finish(upkeep, now);
      return database.prepare('SELECT logTime FROM position').pluck().get();
    };
    expect(at(NOW)).toBe(NOW);
    store(upkeep, [draft({ ttl: 60 })], NOW + DAY);
    expect([at(NOW + DAY + 1000), at(NOW + 2000), at(NOW + 3000)]).toEqual([
      NOW + DAY,
      NOW + 2000,
      NOW + 2000,
    ]);
  });

  test('upkeep is not stopped by a read marker that expires', () => {
    const upkeep = upkeepWith({});
    const marker = { type: 'read', content: '{"messageId":1}' };
    store(upkeep, [draft(), draft({ ...marker, ttl: 1 }), draft({ ttl: 2 })], TIME);
    finish(upkeep);
    expect(idsOf('bob')).toEqual([1, 2]);
  });

  describe('with a bound for each recipient', () => {
    test('upkeep keeps exactly the newest messages of each recipient, by the next tick', () => {
      const upkeep = upkeepWith({ messages: 5 });
      store(upkeep, [
        ...pairs(3),
        ...Array.from({ length: 12 }, () => draft()),
        draft({ recipient: 'carol' }),
      ]);
      finish(upkeep);
      expect(idsOf('bob')).toEqual([11, 12, 13, 14, 15]);
      expect(count()).toBe(9);
      store(upkeep, [draft(), draft()]);
      upkeep.tick();
      finish(upkeep);
      expect(idsOf('bob')).toEqual([13, 14, 15, 17, 18]);
    });

    test('upkeep does not count all messages again for each new one', () => {
      const upkeep = upkeepWith({ messages: 20_000 });
      store(
        undefined,
        Array.from({ length: 20_000 }, () => draft()),
      );
      finish(upkeep);
      const before = time;
      store(upkeep, [draft()]);
      upkeep.tick();
      finish(upkeep);
      expect(count()).toBe(20_000);
      // A count goes in pieces of 5000.
      expect(time - before).toBeLessThan(30);
    });

    test('upkeep keeps current read markers, and removes each when another replaces it', () => {
      const upkeep = upkeepWith({ messages: 3 });
      const mark = (sender: string): Draft =>
        draft({ sender, type: 'read', content: `{"messageId":${head()}}` });
      const many = (): Draft[] => Array.from({ length: 6 }, () => draft());
      store(upkeep, many());
      for (let round = 0; round < 4; round++) {
        store(upkeep, [mark('dora'), mark('erin'), ...many()]);
        if (round % 2 === 0) upkeep.tick();
        finish(upkeep);
        expect(count("WHERE type = 'read'")).toBe(2);
        expect(count("WHERE type = 'message'")).toBe(3);
      }
    });

    test('upkeep keeps what a new count would keep, whatever is stored, expires and fails meanwhile', () =>
      withRandom((random) => {
        let now = NOW;
        const upkeep = upkeepWith({ messages: 7 });
        const standing = (id: unknown): boolean =>
          database.prepare('SELECT 1 FROM readMarkers WHERE id = ?').get(id) !== undefined;
        for (let round = 0; round < 150; round++) {
          now += 100;
          time += 100;
          const any = (): Draft => {
            const isMarker = random.integer(0, 6) === 0;
            return draft({
              sender: random.pick(['alice', 'carol']),
              recipient: random.pick(['bob', 'dora', 'erin']),
              ttl: !isMarker && random.integer(0, 4) === 0 ? 1 : null,
              ...(isMarker && head() > 0 ? { type: 'read', content: `{"messageId":${head()}}` } : {}),
            });
          };
          store(upkeep, Array.from({ length: random.integer(1, 12) }, any), now);
          if (random.integer(0, 2) === 0) upkeep.step(now);
          if (random.integer(0, 9) === 0) {
            database.exec(
              "CREATE TEMP TRIGGER fault BEFORE INSERT ON purged BEGIN SELECT RAISE(ABORT, 'no'); END",
            );
            try {
              finish(upkeep, now);
            } catch {
              // As when the disk is full.
            }
            database.exec('DROP TRIGGER fault');
          }
          if (random.integer(0, 3) !== 0) continue;
          const lasting = database
            .prepare("SELECT id FROM messages WHERE expiresAt IS NULL AND type = 'message'")
            .pluck()
            .all();
          const before = ['bob', 'dora', 'erin'].map(idsOf);
          upkeep.tick();
          finish(upkeep, now);
          for (const [index, recipient] of ['bob', 'dora', 'erin'].entries()) {
            const ids = idsOf(recipient);
            expect(ids.slice(0, -7).filter((id) => !standing(id))).toEqual([]);
            const gone = before[index]?.slice(-7).filter((id) => lasting.includes(id) && !ids.includes(id));
            expect(gone).toEqual([]);
          }
        }
        return Promise.resolve();
      }));
  });
});

describe('the pace of upkeep', () => {
  let now = 0;
  const pace = new UpkeepPace(() => now);

  test('upkeep pauses as long as a step took while appends come, and not at all without them', () => {
    pace.stepped(5);
    expect(pace.pause).toBe(0);
    pace.appended();
    expect(pace.pause).toBe(5);
    now += 3;
    expect(pace.pause).toBe(2);
    now += 40;
    pace.stepped(8);
    expect(pace.pause).toBe(8);
    now += 8;
    pace.stepped(8);
    expect(pace.pause).toBe(0);
  });
});
