/** The contract of `MessageLog` as tests that every implementation must pass. */
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { describeAppending } from './log-contract/appending.ts';
import { describeClock } from './log-contract/clock.ts';
import { describeConversations } from './log-contract/conversations.ts';
import { describePushStore } from './log-contract/push.ts';
import { describeReading } from './log-contract/reading.ts';
import { type LogFactory, refusalOf, Subject } from './log-contract/subject.ts';

export type { LogFactory } from './log-contract/subject.ts';

/** Declares the tests of the contract for one implementation. */
export function describeMessageLog(name: string, factory: LogFactory): void {
  describe(name, () => {
    const subject = new Subject(factory);
    beforeEach(() => subject.open());
    afterEach(() => subject.end());

    describeAppending(subject);
    describeReading(subject, factory.isLocal);
    describeConversations(subject);
    describePushStore(subject);
    if (factory.setsTime) describeClock(subject);
    describeEnd(subject);
  });
}

/** Declares the tests of a log that is being closed. */
function describeEnd(subject: Subject): void {
  describe('the end of a log', () => {
    test('a log refuses nothing until it is sealed', async () => {
      expect(subject.log.refusing).toBeUndefined();
      expect(() => subject.log.checkRoom()).not.toThrow();
      await subject.log.probe();
    });

    test('a sealed log refuses new batches, says why, and has stored all earlier ones', async () => {
      const told: number[] = [];
      subject.log.onCommit((messages) => void told.push(...messages.map(({ id }) => id)));
      const before = [subject.put({}), subject.put({}), subject.put({}, {})];
      const sealed = subject.log.seal();
      const late = subject.put({});
      expect(await refusalOf(late)).toEqual({ name: 'LogUnavailable', mayBeStored: false });
      await expect(late).rejects.toThrow(subject.log.refusing);
      expect(await refusalOf(subject.log.probe())).toMatchObject({ name: 'LogUnavailable' });
      expect(await Promise.all(before)).toEqual([[1], [2], [3, 4]]);
      await sealed;
      expect(told).toEqual([1, 2, 3, 4]);
      expect(subject.ids(['*'])).toEqual([1, 2, 3, 4]);
      await subject.reopen();
      expect(subject.log.head).toBe(4);
    });

    test('sealing a log waits until its listeners are done', async () => {
      let release = (): void => undefined;
      subject.log.onCommit(() => new Promise((resolve) => (release = resolve)));
      await subject.put({});
      let isSealed = false;
      const sealed = subject.log.seal().then(() => (isSealed = true));
      await subject.log.pushStore.apply([]);
      expect(isSealed).toBe(false);
      release();
      await sealed;
    });

    test('a sealed log still notes which notifications were sent', async () => {
      await subject.log.seal();
      expect(await subject.log.pushStore.apply([{ kind: 'remove', id: 1 }])).toHaveLength(1);
    });

    test('every read of a closed log says that it cannot be read', async () => {
      const { log } = subject;
      await subject.put({});
      const reads: (() => unknown)[] = [
        () => log.locate('0', ['bob']),
        () => log.newest(['bob'], 1),
        () => log.message(1),
        () => log.readAfter(['bob'], 0, 1, () => true),
        () => log.readBack(['bob'], 2, () => true),
        () => log.readConversation(['bob', 'alice'], 2, () => true),
        () => log.conversations('bob', 2, 1, () => true),
        () => log.conversation('bob', 'alice'),
        () => log.room('bob', 'alice'),
        () => log.pushStore.all(0, 1),
      ];
      for (const read of reads) read();
      await subject.save();
      for (const read of reads) {
        expect(await refusalOf(Promise.resolve().then(read))).toMatchObject({ name: 'LogUnreadable' });
      }
    });
  });
}
