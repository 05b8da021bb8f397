import { expect, test } from '@jest/globals';
import { setImmediate as nextTick } from 'node:timers/promises';
import { GroupCommit } from '../../src/log/group-commit.ts';
import { LogUnavailable } from '../../src/log/message-log.ts';
import type { WriterClient } from '../../src/log/writer-client.ts';
import type { Draft, Message } from '../../src/message.ts';
import { draft } from '../support/log-file.ts';

test('publishers are answered when their commit is being handed on, and the next is handed on when that is done', async () => {
  let head = 0;
  const writer = {
    append: (batches: readonly (readonly Draft[])[]) =>
      Promise.resolve({
        results: batches.map((batch) => batch.map(() => ++head)),
        seconds: 0,
        syncSeconds: 0,
      }),
  } as unknown as WriterClient;
  const handedOn: number[][] = [];
  const ends: (() => void)[] = [];
  const group = new GroupCommit(writer, {
    onStored: (fresh: readonly Message[]) => {
      handedOn.push(fresh.map(({ id }) => id));
      return new Promise<void>((resolve) => ends.push(resolve));
    },
    onTimed: () => undefined,
  });

  const [first] = await group.append([draft()]);
  expect(first?.message.id).toBe(1);
  let answered = 0;
  const others = [draft(), draft()].map((one) => group.append([one]).then(() => answered++));
  let isIdle = false;
  const idle = group.idle().then(() => (isIdle = true));
  await nextTick();
  expect([handedOn, answered]).toEqual([[[1]], 0]);
  while (handedOn.flat().length < 3 || answered < 2) {
    ends.shift()?.();
    await nextTick();
  }
  await Promise.all(others);
  expect(handedOn.flat()).toEqual([1, 2, 3]);
  await nextTick();
  expect(isIdle).toBe(false);
  for (const end of ends) end();
  await idle;
  expect(isIdle).toBe(true);
});

test('a commit that fails is counted once, its publishers are all refused, and the next one is tried', async () => {
  let fails = true;
  const writer = {
    append: (batches: readonly (readonly Draft[])[]) =>
      Promise.resolve(
        fails
          ? new LogUnavailable('the disk of the log is full')
          : { results: batches.map((batch) => batch.map(() => 1)), seconds: 0, syncSeconds: 0 },
      ),
  } as unknown as WriterClient;
  const group = new GroupCommit(writer, { onStored: () => Promise.resolve(), onTimed: () => undefined });
  const refused = [group.append([draft()]), group.append([draft(), draft()])];
  for (const publish of refused) await expect(publish).rejects.toThrow('the disk of the log is full');
  const { failures, stored, commits } = group;
  // The first goes alone, the second gathers meanwhile.
  expect({ failures, stored, commits }).toEqual({ failures: 2, stored: 0, commits: 0 });
  fails = false;
  await group.append([draft()]);
  expect([group.failures, group.commits]).toEqual([2, 1]);
});
