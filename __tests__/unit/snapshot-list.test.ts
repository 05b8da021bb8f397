import { afterEach, expect, jest, test } from '@jest/globals';
import { pino } from 'pino';
import { isSnapshotDue, type SnapshotTimes } from '../../src/cluster/snapshot-keeper.ts';
import {
  newestOf,
  NO_SNAPSHOTS,
  type Snapshot,
  type SnapshotList,
  tidied,
  trimBound,
  withoutTransfer,
  withRenewal,
  withSnapshot,
  withTransfer,
} from '../../src/cluster/snapshot-list.ts';
import { withAnnouncement } from '../../src/cluster/transfer.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

function snapshot(id: string, sequence: number, generation = 1): Snapshot {
  const rest = { logId: 'log', head: sequence, bytes: 1, sha256: '', schema: 8, time: sequence, seconds: 1 };
  return { id, generation, sequence, ...rest };
}

function listOf(...snapshots: Snapshot[]): SnapshotList {
  let list = NO_SNAPSHOTS;
  for (const one of snapshots) {
    list = withTransfer(list, 'uploads', { id: one.id, snapshot: one.id, time: 0 });
    list = withSnapshot(list, one) ?? list;
  }
  return list;
}

afterEach(() => {
  jest.useRealTimers();
});

const ids = ({ snapshots }: SnapshotList): string[] => snapshots.map(({ id }) => id);

test('the two newest snapshots are kept, and the buckets of older ones are to be removed', () => {
  const list = tidied(listOf(snapshot('a', 1), snapshot('c', 3), snapshot('b', 2)), 0);
  expect([ids(list), list.removed]).toEqual([['c', 'b'], ['a']]);
  expect(tidied(list, 0)).toEqual(list);
});

test('snapshots of an older generation are kept until the newer one has two', () => {
  const one = tidied(listOf(snapshot('a', 7), snapshot('b', 8), snapshot('c', 0, 2)), 0);
  expect([ids(one), newestOf(one, 1)?.id, newestOf(one, 2)?.id]).toEqual([['c', 'b', 'a'], 'b', 'c']);
  const two = withSnapshot(
    withTransfer(one, 'uploads', { id: 'd', snapshot: 'd', time: 0 }),
    snapshot('d', 5, 2),
  );
  const tidy = tidied(two ?? one, 0);
  expect([ids(tidy), tidy.removed]).toEqual([
    ['d', 'c'],
    ['b', 'a'],
  ]);
});

test('the bucket of an upload that failed, or of which nothing was heard for 15 minutes, is to be removed', () => {
  const announced = withTransfer(NO_SNAPSHOTS, 'uploads', { id: 'a', snapshot: 'a', time: 0 });
  expect(tidied(announced, 14 * MINUTE).uploads).toHaveLength(1);
  const given = tidied(announced, 15 * MINUTE);
  expect([given.uploads, given.removed]).toEqual([[], ['a']]);
  expect(withSnapshot(given, snapshot('a', 1))).toBeUndefined();
  expect(withoutTransfer(announced, 'a').removed).toEqual(['a']);
  expect(withoutTransfer(listOf(snapshot('a', 1)), 'a').removed).toEqual([]);
});

test('a snapshot that is being downloaded is kept', () => {
  const list = listOf(snapshot('a', 1), snapshot('b', 2), snapshot('c', 3));
  const busy = withTransfer(list, 'downloads', { id: 'x', snapshot: 'a', time: 0 });
  expect(ids(tidied(busy, 14 * MINUTE))).toEqual(['c', 'b', 'a']);
  expect(ids(tidied(busy, 15 * MINUTE))).toEqual(['c', 'b']);
});

test('the bucket of a snapshot in the list is never to be removed, whatever was said of its upload', () => {
  const upload = { id: 'a', snapshot: 'a', time: 0 };
  const list = listOf(snapshot('a', 1));
  expect(withTransfer(list, 'uploads', upload)).toEqual(list);
  expect(withRenewal(list, 'a', 1)).toEqual(list);
  const damaged = { ...list, uploads: [upload] };
  expect(withoutTransfer(damaged, 'a')).toEqual(list);
  expect(tidied(damaged, 15 * MINUTE)).toEqual(list);
  expect(tidied({ ...list, removed: ['a', 'b'] }, 0).removed).toEqual(['b']);
});

test('a transfer under way is renewed, and one that has ended or was given up is not added again', () => {
  let list = withTransfer(NO_SNAPSHOTS, 'uploads', { id: 'a', snapshot: 'a', time: 0 });
  list = withTransfer(list, 'downloads', { id: 'x', snapshot: 'b', time: 0 });
  list = withRenewal(withRenewal(list, 'a', 5), 'x', 6);
  expect([...list.uploads, ...list.downloads].map(({ time }) => time)).toEqual([5, 6]);
  const given = tidied(list, HOUR);
  expect(withRenewal(withRenewal(given, 'a', HOUR), 'x', HOUR)).toEqual(given);
});

test('an upload is not announced again when its snapshot is in the list, or its bucket was given up', async () => {
  jest.useFakeTimers();
  let list = NO_SNAPSHOTS;
  let now = 0;
  const catalogue = {
    changeSnapshots: (change: (before: SnapshotList, now: number) => SnapshotList) => {
      list = change(list, now);
      return Promise.resolve(list);
    },
  };
  const announced = { kind: 'uploads', id: 'a', snapshot: 'a' } as const;
  await withAnnouncement({ catalogue, logger: pino({ level: 'silent' }) }, announced, async () => {
    now = 7;
    await jest.advanceTimersByTimeAsync(MINUTE);
    expect(list.uploads).toEqual([{ id: 'a', snapshot: 'a', time: 7 }]);
    list = withSnapshot(list, snapshot('a', 1)) ?? list;
    await jest.advanceTimersByTimeAsync(MINUTE);
    expect(list.uploads).toEqual([]);
  });
  expect([ids(list), list.removed]).toEqual([['a'], []]);
  const late = { kind: 'uploads', id: 'b', snapshot: 'b' } as const;
  await withAnnouncement({ catalogue, logger: pino({ level: 'silent' }) }, late, async () => {
    // It was silent for so long that its bucket was given up.
    list = tidied(list, HOUR);
    await jest.advanceTimersByTimeAsync(MINUTE);
    expect(list.uploads).toEqual([]);
  });
  expect(list.removed).toEqual(['b']);
});

test('a transfer whose time is 15 minutes ahead is silent, and one that is a little ahead is not', () => {
  const list = withTransfer(NO_SNAPSHOTS, 'uploads', { id: 'a', snapshot: 'a', time: 20 * MINUTE });
  expect(tidied(list, 5 * MINUTE).removed).toEqual(['a']);
  expect(tidied(list, 6 * MINUTE).removed).toEqual([]);
});

test('a snapshot with a time in the future is not the newest when another one of its sequence is made', () => {
  expect(ids(listOf({ ...snapshot('a', 5), time: 9 * HOUR }, snapshot('b', 5)))).toEqual(['b', 'a']);
});

test('the stream is trimmed up to the older snapshot, and never beyond a node or a download', () => {
  const list = listOf(snapshot('a', 10), snapshot('b', 20), snapshot('c', 30));
  expect(trimBound(listOf(snapshot('a', 10)), 1, [99])).toBe(0);
  expect(trimBound(list, 1, [])).toBe(20);
  expect(trimBound(list, 1, [99, 15])).toBe(15);
  expect(trimBound(list, 2, [99])).toBe(0);
  const busy = withTransfer(list, 'downloads', { id: 'x', snapshot: 'a', time: 0 });
  expect(trimBound(busy, 1, [99])).toBe(10);
  expect(trimBound(list, 1, Array<number>(200_000).fill(15))).toBe(15);
});

const due: Record<string, [boolean, Partial<SnapshotTimes>]> = {
  'is due a day after the log began': [true, { newest: undefined, recordedAt: 0 }],
  'is due a day after the last one': [true, {}],
  'is not due within a day of the last one': [false, { now: 23 * HOUR }],
  'is due after ten million messages': [true, { now: HOUR, head: 10_000_005 }],
  'is not due after fewer messages': [false, { now: HOUR, head: 10_000_004 }],
  'is not due before four times as long as the last one took': [
    false,
    { now: HOUR, head: 10_000_005, newest: { time: 0, seconds: 901, head: 5 } },
  ],
  'is due a minute after one whose time is a day ahead': [
    true,
    { newest: { time: 48 * HOUR, seconds: 1, head: 5 } },
  ],
  'is due when the log began at a time in the future': [true, { newest: undefined, recordedAt: 48 * HOUR }],
  'is not due right after one that failed': [false, { failed: { time: 24 * HOUR - 9 * MINUTE, seconds: 1 } }],
  'is due ten minutes after one that failed': [
    true,
    { failed: { time: 24 * HOUR - 10 * MINUTE, seconds: 1 } },
  ],
  'is not due ten minutes after one that failed late': [
    false,
    { failed: { time: 24 * HOUR - 10 * MINUTE, seconds: 151 } },
  ],
};

test.each(Object.entries(due))('a snapshot %s', (_name, [isDue, times]) => {
  const usual = { now: 24 * HOUR, head: 5, recordedAt: 0, failed: undefined };
  const newest = { time: 0, seconds: 1, head: 5 };
  expect(isSnapshotDue({ ...usual, newest, ...times })).toBe(isDue);
});
