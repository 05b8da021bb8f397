import { afterAll, expect, test } from '@jest/globals';
import { prepareAppend } from '../../src/log/append.ts';
import { counts, COUNTS, type Draft } from '../../src/message.ts';
import { draft, newDatabase } from '../support/log-file.ts';
import { cleanUp } from '../support/server.ts';

afterAll(cleanUp);

test('whether a message counts is the same to SQL and here, also for messages from before it had a background', () => {
  const database = newDatabase();
  const drafts = ['message', 'order', 'read'].flatMap((type) =>
    ([0, 1, null] as const).map((background): Draft => {
      const content = type === 'read' ? '{"messageId":1}' : '1';
      return draft({ sender: `${type} ${background}`, type, background, content });
    }),
  );
  prepareAppend(database)({ tag: 'run', batches: [drafts] });
  const counted = database
    .prepare(`SELECT sender FROM messages WHERE ${COUNTS} = 1 ORDER BY id`)
    .pluck()
    .all();
  expect(counted).toEqual(['message 0', 'message null', 'order 0']);
  expect(drafts.filter(counts).map(({ sender }) => sender)).toEqual(counted);
});
