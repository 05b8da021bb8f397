import { afterEach, expect, test } from '@jest/globals';
import { send } from '../support/api.ts';
import { withDatabase } from '../support/file.ts';
import { pullAll } from '../support/pull.ts';
import { cleanUp, Server } from '../support/server.ts';
import { DeviceStream } from '../support/stream.ts';

afterEach(cleanUp);

interface Position {
  readonly logId: string;
  readonly sequence: number | null;
}

test('a database of a cluster begins a log and an epoch of its own when it is started alone', async () => {
  const first = await Server.start({});
  const { database } = first;
  const kept = await send(first.url, 'bob', 'kept');
  const device = await DeviceStream.open(first.url, 'recipient=bob', { lastEventId: '0' });
  await device.waitForMessages(1);
  const epoch = (device.cursor ?? '').split('-')[1] ?? '';
  device.cut();
  expect((await first.stop()).code).toBe(0);
  const position = (): Position =>
    withDatabase(database, (file) => file.prepare('SELECT logId, sequence FROM position').get()) as Position;
  const before = position();
  expect(before).toEqual({ logId: expect.stringMatching(/^[0-9a-f]{16}$/), sequence: null });
  withDatabase(database, (file) => file.exec('UPDATE position SET sequence = 7'));

  const alone = await Server.start({ database });
  const after = position();
  expect(after.sequence).toBeNull();
  expect(after.logId).not.toBe(before.logId);
  // A device that had seen one more message of the cluster, and one that had not.
  const ahead = await DeviceStream.open(alone.url, 'recipient=bob', {
    lastEventId: `${kept.id + 1}-${epoch}`,
  });
  await ahead.waitFor('live');
  expect(ahead.gap).toBe('restored');
  const added = await send(alone.url, 'bob', 'added');
  expect(added.id).toBe(kept.id + 1);
  const behind = await DeviceStream.open(alone.url, 'recipient=bob', { lastEventId: `${kept.id}-${epoch}` });
  await behind.waitFor('live');
  expect([behind.gap, behind.messages]).toEqual([false, [added]]);
  const again = await DeviceStream.open(alone.url, 'recipient=bob', {
    lastEventId: `${kept.id + 1}-${epoch}`,
  });
  await again.waitFor('live');
  expect(again.gap).toBe('restored');
  expect(await pullAll(alone.url, 'bob')).toEqual([kept, added]);
  for (const one of [ahead, behind, again]) one.cut();
  expect((await alone.stop()).code).toBe(0);

  const once = position();
  const restarted = await Server.start({ database });
  expect(position()).toEqual(once);
  expect((await restarted.stop()).code).toBe(0);
});
