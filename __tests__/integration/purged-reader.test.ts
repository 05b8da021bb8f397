import { afterEach, expect, test } from '@jest/globals';
import { readNumber } from '../support/file.ts';
import { publishLargely } from '../support/publish-largely.ts';
import { RawDevice } from '../support/raw-device.ts';
import { cleanUp, Server } from '../support/server.ts';
import { until } from '../support/until.ts';

afterEach(cleanUp);

const CONTENT = 'x'.repeat(20_000);

test('a reader that a purge overtook is ended, and told of the gap when it comes back', async () => {
  const server = await Server.start({ env: { RETENTION_MESSAGES: '300' } });
  const sleeper = await RawDevice.open(server.port, 'recipient=bob', { asleep: true });
  const quick = await RawDevice.open(server.port, 'recipient=bob');
  await quick.waitFor('live');
  // A batch is less than what is kept: the quick one is not overtaken on a slow machine either.
  const ids = await publishLargely(server, 3000, CONTENT, (soFar) => quick.waitForMessages(soFar.length));
  expect(quick.ids).toEqual(ids);
  expect(quick.said.map(({ event }) => event)).not.toContain('bye');

  // Else it would overtake the sleeper once more when that comes back.
  await until(() => readNumber(server.database, 'SELECT count(*) FROM messages') === 300, 'the purge');
  sleeper.wake();
  const bye = await sleeper.waitFor('bye');
  await sleeper.waitForEnd();
  // The sleeper got everything up to the message at which the purge overtook it.
  expect(bye.data).toEqual({ type: 'bye', reason: 'too-slow' });
  expect(sleeper.ids.length).toBeGreaterThan(0);
  expect(sleeper.ids).toEqual(ids.slice(0, sleeper.ids.length));
  expect(Number.parseInt(bye.id ?? '')).toBe(sleeper.ids.at(-1));
  expect(sleeper.cursor).toBe(bye.id);

  const again = await RawDevice.open(server.port, 'recipient=bob', { lastEventId: sleeper.cursor ?? '' });
  const live = await again.waitFor('live');
  expect(again.said[0]?.data).toMatchObject({ type: 'ready', gap: 'purged', cursor: sleeper.cursor });
  expect(again.ids.length).toBeGreaterThanOrEqual(300);
  expect(again.ids).toEqual(ids.slice(-again.ids.length));
  expect(live.data).toMatchObject({ replayed: again.ids.length });
});
