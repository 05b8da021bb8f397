import { describe, expect, test } from '@jest/globals';
import { parseCursor } from '../../src/log/cursor.ts';
import { type EntryBody, entryOf, type Outcome } from '../../src/log/entry.ts';
import { prepareApply } from '../../src/log/replica/apply.ts';
import type { UpkeepEntry } from '../../src/log/replica/dry-runs.ts';
import { Upkeep } from '../../src/log/replica/upkeep.ts';
import type { Draft, Message } from '../../src/message.ts';
import { draft } from '../support/log-file.ts';
import { memoryDatabase, MemoryLog } from '../support/memory-log.ts';
import { Random, seedsOf } from '../support/random.ts';
import { RandomEntries } from '../support/random-entries.ts';
import { firstDatabase, Sequence, TwinReplica } from '../support/twin-replica.ts';

const DAY = 86_400_000;
const START = 1_800_000_000_000;

const seeds = seedsOf([1, 2, 3, 4], 2);
const minutes = Number(process.env['RANDOM_MINUTES'] ?? 0);

/** Brings entries by chance to three replicas, and compares all of their tables as they go. */
function play(seed: number, steps: number): Record<string, number> {
  const random = new Random(seed);
  const order = new RandomEntries(random);
  const sequence = new Sequence();
  const base = firstDatabase();
  const replica = (clock: number): TwinReplica => new TwinReplica(sequence, random, base, clock);
  const proposer = replica(START);
  const followers = [replica(START + 9 * DAY), replica(START - 400 * DAY)];
  const all = [proposer, ...followers];
  let monotonic = 0;
  const upkeep = { retention: { days: 3, messages: 60 }, clock: () => (monotonic += 0.5) };
  try {
    for (let step = 0; step < steps; step++) {
      const before = order.passed;
      order.pass();
      monotonic += order.passed - before;
      sequence.add(order.next(proposer.head), order.time);
      proposer.catchUpSingly();
      if (random.chance(0.2)) proposer.keepUp(upkeep, order.time);
      for (const one of all) {
        if (random.chance(0.3)) one.project(random.pick([1, 10, 1000]));
        if (random.chance(0.05)) one.save();
        if (random.chance(0.06)) one.restart(random.chance(0.5));
      }
      for (const follower of followers) if (random.chance(0.2)) follower.catchUp();
    }
    const projected = all.map((one) => {
      one.catchUp();
      return one.projected();
    });
    for (const one of projected) expect(one).toBe(projected[0]);
  } catch (error) {
    if (error instanceof Error) error.message = `TEST_SEED=${seed}: ${error.message}`;
    throw error;
  } finally {
    for (const one of all) one.close();
  }
  return countsOf(sequence);
}

/**
 * Brings entries by chance to two replicas, and what the upkeep of the first proposes by dry runs, after some of those that
 * were on their way before. In the end upkeep finds nothing more to do, and no recipient has more than it keeps.
 */
function playDry(seed: number, steps: number): number {
  const random = new Random(seed);
  const order = new RandomEntries(random);
  const sequence = new Sequence();
  const base = firstDatabase();
  const holder = new TwinReplica(sequence, random, base, START);
  const follower = new TwinReplica(sequence, random, base, START + 9 * DAY);
  let monotonic = 0;
  let proposed = 0;
  const upkeep = { retention: { days: 3, messages: 20 }, clock: () => (monotonic += 0.1) };
  const place = (entries: readonly UpkeepEntry[]): void => {
    for (const entry of entries) sequence.add(entry, order.time);
    proposed += entries.filter(({ kind }) => kind === 'purge').length;
    holder.catchUpSingly();
    follower.catchUp();
  };
  try {
    for (let step = 0; step < steps; step++) {
      const before = order.passed;
      order.pass();
      monotonic += order.passed - before;
      const onTheirWay = random.chance(0.3) ? holder.keepUpDry(upkeep, order.time) : [];
      for (let more = random.integer(1, 3); more > 0; more--) {
        sequence.add(order.next(holder.head), order.time);
        holder.catchUpSingly();
      }
      if (random.chance(0.02)) holder.restart(false);
      place(onTheirWay);
    }
    order.settle();
    for (let quiet = 0; quiet < 3;) {
      order.passed += 2000;
      monotonic += 2000;
      const entries = holder.keepUpDry(upkeep, order.time);
      quiet = entries.some(({ kind }) => kind === 'purge') ? 0 : quiet + 1;
      sequence.add({ kind: 'tick' }, order.time);
      place(entries);
    }
    expect(holder.mostOfOneRecipient).toBeLessThanOrEqual(upkeep.retention.messages);
    expect(follower.projected()).toBe(holder.projected());
  } catch (error) {
    if (error instanceof Error) error.message = `TEST_SEED=${seed}: ${error.message}`;
    throw error;
  } finally {
    holder.close();
    follower.close();
  }
  return proposed;
}

/** Returns how often things came to be that a run is worthless without. */
function countsOf({ outcomes }: Sequence): Record<string, number> {
  const counts: Record<string, number> = {
    appends: 0,
    stored: 0,
    repeats: 0,
    faults: 0,
    changed: 0,
    purges: 0,
    purged: 0,
    push: 0,
    epoch: 0,
    settings: 0,
    tick: 0,
  };
  const count = (name: string, by = 1): void => void (counts[name] = (counts[name] ?? 0) + by);
  for (const outcome of outcomes.map((text) => JSON.parse(text) as Outcome)) {
    if (outcome.kind === 'purge') {
      count('purges');
      count('purged', outcome.messages);
    } else if (outcome.kind === 'append') {
      count('appends');
      for (const result of outcome.results) {
        if ('fault' in result) count('faults');
        else
          for (const one of result)
            count(typeof one === 'number' ? 'stored' : 'changed' in one ? 'changed' : 'repeats');
      }
    } else {
      count(outcome.kind);
    }
  }
  return counts;
}

describe('entries by chance', () => {
  test.each(seeds)(
    'replicas of the same entries have the same rows, whatever their clocks, upkeep, restarts and transactions are: TEST_SEED=%d',
    (seed) => {
      const counts = play(seed, 300);
      for (const [what, count] of Object.entries(counts)) expect([what, count > 0]).toEqual([what, true]);
    },
  );

  test.each(seeds)(
    'proposals from dry runs change nothing before they are applied, and leave no more than is kept: TEST_SEED=%d',
    (seed) => {
      expect(playDry(seed, 150)).toBeGreaterThan(10);
    },
  );

  const longRun = minutes > 0 ? test : test.skip;
  longRun(
    'replicas of the same entries have the same rows over many seeds (RANDOM_MINUTES)',
    () => {
      const end = performance.now() + minutes * 60_000;
      while (performance.now() < end) {
        const seed = Math.floor(Math.random() * 2 ** 32);
        process.stderr.write(`${seed}: ${JSON.stringify(play(seed, 600))}\n`);
      }
    },
    minutes * 60_000 + 120_000,
  );
});

/** Two nodes that apply the same entries, and the upkeep of the first, which proposes by a clock of its own. */
class Nodes {
  readonly first = memoryDatabase();
  readonly second = memoryDatabase();
  readonly #apply = [this.first, this.second].map((database) => prepareApply(database));

  /** Applies an entry on both. @returns the outcome, which is the same on both */
  apply(time: number, body: EntryBody): Outcome {
    const entry = entryOf(body);
    const [first, second] = this.#apply.map((apply) => apply([{ entry, time }])[0]);
    expect(second).toEqual(first);
    return first as Outcome;
  }

  /** Publishes a message on both. @returns its id, or that of the message which stands in its place */
  publish(time: number, fields: Partial<Draft>): number {
    const outcome = this.apply(time, { kind: 'append', batches: [[draft(fields)]] });
    if (outcome.kind !== 'append' || outcome.results[0] === undefined || 'fault' in outcome.results[0])
      throw new Error(`it was not stored: ${JSON.stringify(outcome)}`);
    const [placed] = outcome.results[0];
    return typeof placed === 'number' ? placed : (placed as Message).id;
  }

  /** Lets upkeep of the first node do a step. @param clock its clock @param order the time that the order gives */
  keepUp(clock: number, order: number, days = 0): void {
    const upkeep = new Upkeep(this.first, {
      retention: { days, messages: 0 },
      retentionFrom: undefined,
      clock: () => 0,
      propose: (body) => this.apply(order, body),
    });
    upkeep.step(clock);
  }

  /** Returns the ids that are on both. */
  ids(): unknown[] {
    const [first, second] = [this.first, this.second].map((database) =>
      database.prepare('SELECT id FROM messages ORDER BY id').pluck().all(),
    );
    expect(second).toEqual(first);
    return first ?? [];
  }
}

describe('two nodes', () => {
  const keyed = { idempotencyKey: 'k', ttl: 3600 };

  test('two nodes give the same answer to a repeated key, though the upkeep of one has a clock that is ahead', () => {
    const nodes = new Nodes();
    expect(nodes.publish(START, keyed)).toBe(1);
    nodes.keepUp(START + DAY, START + 1000);
    expect(nodes.ids()).toEqual([1]);
    expect(nodes.publish(START + 2000, keyed)).toBe(1);
    // An hour later its key is free on both, and the message is removed on both, by an entry.
    expect(nodes.publish(START + 3_600_000, keyed)).toBe(2);
    nodes.keepUp(START + 3_700_000, START + 3_700_000);
    expect(nodes.ids()).toEqual([2]);
    expect(nodes.publish(START + 3_800_000, keyed)).toBe(2);
  });

  test('two nodes give the same answer to a repeated key whose message was removed while the clock was wrong', () => {
    const nodes = new Nodes();
    nodes.publish(START, keyed);
    nodes.keepUp(START + 2 * DAY, START + 2 * DAY);
    expect(nodes.ids()).toEqual([]);
    // The clock of the order was wrong, and is right again.
    expect(nodes.publish(START + 1000, keyed)).toBe(2);
  });

  test('entries that changed nothing have the same outcome when they are applied again', () => {
    const nodes = new Nodes();
    const mark = { type: 'read', content: '{"messageId":1}' };
    nodes.publish(START, { ...keyed, ttl: 1 });
    nodes.publish(START, mark);
    // The position stays behind these: a repeat, and a marker that stands, whose key had expired.
    const behind: [number, Partial<Draft>][] = [
      [START + 500, { ...keyed, ttl: 1 }],
      [START + 2000, { ...mark, idempotencyKey: 'k' }],
      [START + 3000, { ...mark, idempotencyKey: 'k' }],
    ];
    for (const again of [1, 2])
      expect([again, ...behind.map(([time, fields]) => nodes.publish(time, fields))]).toEqual([
        again,
        1,
        2,
        2,
      ]);
  });

  test('one clock that is days ahead removes nothing on any node, be it that of the order or of the proposer', () => {
    const nodes = new Nodes();
    nodes.publish(START, {});
    nodes.publish(START, { ttl: 3600 });
    nodes.keepUp(START + 2 * DAY, START + 1000, 1);
    nodes.keepUp(START + 1000, START + 2 * DAY, 1);
    expect(nodes.ids()).toEqual([1, 2]);
    expect(nodes.publish(START + 2 * DAY, { ttl: 3600 })).toBe(3);
    expect(nodes.publish(START + 2000, { ttl: 3600 })).toBe(4);
    const times = nodes.second.prepare('SELECT createdAt, expiresAt FROM messages ORDER BY id').raw().all();
    expect(times.map((row) => (row as (number | null)[]).map((time) => time && time - START))).toEqual([
      [0, null],
      [0, 3_600_000],
      [2 * DAY, 2 * DAY + 3_600_000],
      [2 * DAY, 3_602_000],
    ]);
    // When both clocks agree, what is due is removed.
    nodes.keepUp(START + 2 * DAY, START + 2 * DAY, 1);
    expect(nodes.ids()).toEqual([3]);
  });

  test('a cursor of one node is known to another, since epochs are entries', async () => {
    const now = (): number => START;
    const from = firstDatabase();
    const one = new MemoryLog({ now, from });
    await one.log.append([draft()]);
    const saved = await one.close();
    const again = new MemoryLog({ now, from: saved });
    await again.log.append([draft(), draft()]);
    const cursors = [1, 2, 3].map((id) => again.log.cursor(id));
    const other = new MemoryLog({ now, from });
    await other.apply([...one.applied, ...again.applied]);
    const theirs = new MemoryLog({ now, from: await other.close() });
    for (const [index, cursor] of cursors.entries()) {
      expect(theirs.log.locate(cursor, ['bob'])).toMatchObject({ after: index + 1, gap: false });
      expect(theirs.log.cursor(index + 1)).toBe(cursor);
    }
    expect(new Set(cursors.map((cursor) => parseCursor(cursor)?.epoch)).size).toBe(2);
  });
});
