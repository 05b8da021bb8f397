import { join } from 'node:path';
import type { Database } from 'better-sqlite3';
import { afterAll, afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import {
  type EntryBody,
  entryOf,
  ENTRY_VERSION,
  type OrderedEntry,
  UnknownEntry,
} from '../../src/log/entry.ts';
import { openForReading } from '../../src/log/replica/database.ts';
import { type Lock, lockDatabase } from '../../src/log/replica/lock.ts';
import { Writer } from '../../src/log/replica/writer.ts';
import type { Draft } from '../../src/message.ts';
import { draft, TIME } from '../support/log-file.ts';
import { cleanUp, newFolder } from '../support/server.ts';

describe('the writer', () => {
  let lock: Lock;
  let writer: Writer;
  let database: Database;
  beforeEach(() => {
    const file = join(newFolder(), 'tidings.sqlite');
    lock = lockDatabase(file);
    writer = new Writer({ name: file, file, retention: { days: 0, messages: 0 }, isLocal: true });
    database = openForReading(file);
  });
  afterEach(() => {
    database.close();
    writer.close();
    lock.release();
  });
  afterAll(cleanUp);

  const ordered = (entry: EntryBody, time = TIME): OrderedEntry => ({ entry: entryOf(entry), time });
  const append = (...drafts: Draft[]): OrderedEntry => ordered({ kind: 'append', batches: [drafts] });
  const epoch = (name: string): OrderedEntry => ordered({ kind: 'epoch', epoch: name });
  const tables = (): unknown[] =>
    ['messages', 'epochs', 'settings', 'position'].map((table) =>
      database.prepare(`SELECT * FROM ${table}`).all(),
    );
  const epochs = (): unknown[] => database.prepare('SELECT firstId, epoch FROM epochs').raw().all();

  test('an entry of a newer version is refused, and nothing is written of those beside it', () => {
    writer.apply([epoch('one'), append(draft())]);
    const before = tables();
    const { entry, time } = append(draft());
    const newer = { entry: { ...entry, v: ENTRY_VERSION + 1 }, time };
    const settings = ordered({ kind: 'settings', retention: { days: 7, messages: 0 } });
    const apply = (): unknown => writer.apply([append(draft()), settings, newer, append(draft())]);
    expect(apply).toThrow(UnknownEntry);
    expect(apply).toThrow(`version ${ENTRY_VERSION + 1}`);
    expect(tables()).toEqual(before);
    expect(writer.apply([append(draft())]).outcomes).toMatchObject([{ kind: 'append', results: [[2]] }]);
  });

  test('an epoch in which no id was given is withdrawn, with all that came with it', () => {
    const keyed = draft({ idempotencyKey: 'k' });
    writer.apply([epoch('one'), append(keyed)]);
    const before = tables();
    const { outcomes } = writer.apply([epoch('two'), append(keyed)]);
    expect(outcomes).toMatchObject([
      { kind: 'withdrawn' },
      { kind: 'append', results: [[{ id: 1, idempotencyKey: 'k' }]] },
    ]);
    expect(tables()).toEqual(before);
    const fault = writer.apply([epoch('two'), append(draft({ ...keyed, content: '"other"' }))]);
    expect(fault.outcomes).toMatchObject([
      { kind: 'withdrawn' },
      { results: [{ fault: 'key-conflict', index: 0 }] },
    ]);
    expect(tables()).toEqual(before);
  });

  test('an epoch stays if one of the batches beside it gave an id, be it that of a changed read marker', () => {
    const keyed = draft({ idempotencyKey: 'k' });
    writer.apply([epoch('one'), append(keyed)]);
    const batches = [[keyed], [draft()]];
    writer.apply([epoch('two'), ordered({ kind: 'append', batches })]);
    expect(
      writer.apply([epoch('three'), append(draft({ type: 'read', content: '{"messageId":9}' }))]).outcomes,
    ).toMatchObject([{ kind: 'epoch', firstId: 3 }, { results: [[{ changed: { id: 3 } }]] }]);
    expect(epochs()).toEqual([
      [1, 'one'],
      [2, 'two'],
      [3, 'three'],
    ]);
  });

  test('log time is that of the newest entry that changed something, also if the clock went back', () => {
    const logTime = (): unknown => database.prepare('SELECT logTime FROM position').pluck().get();
    const keyed = { ...draft({ idempotencyKey: 'k' }) };
    writer.apply([ordered({ kind: 'append', batches: [[keyed]] }, 5000)]);
    expect(logTime()).toBe(5000);
    writer.apply([ordered({ kind: 'append', batches: [[keyed]] }, 6000)]);
    expect(logTime()).toBe(5000);
    writer.apply([ordered({ kind: 'settings', retention: { days: 1, messages: 0 } }, 4000)]);
    expect(logTime()).toBe(4000);
  });
});
