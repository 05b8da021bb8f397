import { join } from 'node:path';
import { afterEach, expect, test } from '@jest/globals';
import { pino } from 'pino';
import type { openLocalLog as OpenLocalLog } from '../../src/log/open-local-log.ts';
import { LogUnreadable } from '../../src/log/message-log.ts';
import { cleanUp, newFolder } from '../support/server.ts';

afterEach(cleanUp);

test('every read of a closed log throws LogUnreadable, and nothing else', async () => {
  // The built one: its writer is a thread of its own.
  const module = join(import.meta.dirname, '../../dist/log/open-local-log.js');
  const { openLocalLog } = (await import(module)) as { openLocalLog: typeof OpenLocalLog };
  const log = await openLocalLog({
    file: join(newFolder(), 'tidings.sqlite'),
    retention: { days: 0, messages: 0 },
    keepsCopy: true,
    logger: pino({ level: 'silent' }),
    now: Date.now,
    onFatal: (error) => {
      throw error;
    },
  });
  const reads: Record<string, () => unknown> = {
    locate: () => log.locate('0', ['bob']),
    newest: () => log.newest(['bob'], 1),
    message: () => log.message(0),
    readAfter: () => log.readAfter(['bob'], 0, 1, () => true),
    readBack: () => log.readBack(['bob'], 1, () => true),
    readConversation: () => log.readConversation(['bob', 'ann'], 1, () => true),
    conversations: () => log.conversations('bob', 1, 1, () => true),
  };
  for (const read of Object.values(reads)) read();
  await log.close();
  for (const [name, read] of Object.entries(reads)) {
    let thrown: unknown;
    try {
      read();
    } catch (error) {
      thrown = error;
    }
    // By its name: the class of the built one is another.
    expect([name, (thrown as Error | undefined)?.name]).toEqual([name, LogUnreadable.name]);
  }
});
