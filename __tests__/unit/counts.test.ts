import { afterAll, expect, test } from '@jest/globals';
import { counts, COUNTS, type Draft } from '../../src/message.ts';
import { draft, newDatabase, prepareAppends } from '../support/log-file.ts';
import { cleanUp } from '../support/server.ts';

afterAll(cleanUp);

test('SQL and code agree whether a message counts, also for messages from before there was a background', () => {
  const database = newDatabase();
  const drafts = ['message', 'order', 'read'].flatMap((type) =>
    ([0, 1, null] as const).map((background): Draft => {
      const content = type === 'read' ? '{"messageId":1}' : '1';
      return draft({ sender: `${type} ${background}`, type, background, content });
    }),
  );
  prepareAppends(database)([drafts]);
  const counted = database
    .prepare(`SELECT sender FROM messages WHERE ${COUNTS} = 1 ORDER BY id`)
    .pluck()
    .all();
  expect(counted).toEqual(['message 0', 'message null', 'order 0']);
  expect(drafts.filter(counts).map(({ sender }) => sender)).toEqual(counted);
});
