import { describe, expect, test } from '@jest/globals';
import { planFor, roomIn, spareOf } from '../../src/log/replica/disk-space.ts';
import { closesGate } from '../../src/log/replica/write-gate.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
const GIB = 1024 * MIB;

describe('the disk of a log', () => {
  test.each([
    ['a large one', 500 * GIB, { reserve: 16 * MIB, min: MIB, enough: 9 * MIB }],
    ['a small one', 48 * MIB, { reserve: 6 * MIB, min: MIB, enough: 9 * MIB }],
    ['a tiny one', 6 * MIB, { reserve: 768 * KIB, min: 192 * KIB, enough: 2 * MIB }],
    ['one that does not tell its size', 0, { reserve: 0, min: 0, enough: 0 }],
  ])('the reserve of a log depends on the size of its disk: %s', (_, total, plan) => {
    expect(planFor(total)).toEqual(plan);
  });

  test.each([
    ['all that is free', 100, 4, 16, 100],
    ['the free space less what the reserve lacks', 100, 4, 10, 94],
    ['the free space less what a checkpoint takes past the reserve', 100, 40, 16, 76],
    ['the free space less both', 100, 40, 0, 60],
    ['nothing, if the reserve alone needs more', 10, 0, 0, -6],
  ])('the room for publishes is right: %s', (_, available, wal, reserve, room) => {
    const space = { available: available * MIB, wal: wal * MIB, reserve: reserve * MIB };
    expect(roomIn(space, planFor(500 * GIB))).toBe(room * MIB);
  });
});

describe('a write that fails', () => {
  test.each([
    ['SQLITE_FULL: database or disk is full', true],
    ['SQLITE_IOERR_WRITE: disk I/O error', true],
    ['SQLITE_IOERR_FSYNC: disk I/O error', true],
    ['SQLITE_IOERR: disk I/O error', true],
    ['SQLITE_READONLY: attempt to write a readonly database', true],
    ['LOG_MOVED: /data/tidings.sqlite was removed or moved away', true],
    ['ENOSPC: no space left on device, write', true],
    ['EDQUOT: disk quota exceeded, write', true],
    // The next publish may well be taken.
    ['SQLITE_BUSY: database is locked', false],
    ['SQLITE_IOERR_READ: disk I/O error', false],
    ['SQLITE_IOERR_SHORT_READ: disk I/O error', false],
    ['SQLITE_IOERR_CORRUPTFS: disk I/O error', false],
    ['SQLITE_CORRUPT: database disk image is malformed', false],
    ['SQLITE_CONSTRAINT: NOT NULL constraint failed', false],
  ])('the failure "%s" stops writes until a trial: %s', (reason, closes) => {
    expect(closesGate(reason)).toBe(closes);
  });
});

test('beside a copy 64 MiB of a disk stay free, and an eighth of a small one', () => {
  expect([500 * GIB, 512 * MIB, 48 * MIB].map((total) => spareOf({ total }))).toEqual([
    64 * MIB,
    64 * MIB,
    6 * MIB,
  ]);
});
