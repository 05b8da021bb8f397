import { afterEach, expect, test } from '@jest/globals';
import { publish, type WireMessage } from '../support/api.ts';
import { Publisher, storedBy } from '../support/publisher.ts';
import { pullAll } from '../support/pull.ts';
import { RawDevice } from '../support/raw-device.ts';
import { cleanUp, Server } from '../support/server.ts';
import { until } from '../support/until.ts';

afterEach(cleanUp);

const DEVICES = 2000;
/** Each has its own inbox, and all follow one in common. */
const INBOXES = Array.from({ length: DEVICES }, (_, index) => `device ${index}`);
const ALL = 'all';

const queryOf = (inbox: string): string => `recipient=${encodeURIComponent(inbox)}&recipient=${ALL}`;

/** Publishes one to each device. */
async function publishToEach(server: Server, content: string): Promise<WireMessage[]> {
  const stored: WireMessage[] = [];
  for (let from = 0; from < DEVICES; from += 1000) {
    const batch = INBOXES.slice(from, from + 1000).map((recipient) => ({ recipient, content }));
    const answer = await publish(server.url, batch);
    expect(answer.status).toBe(201);
    stored.push(...(answer.body as WireMessage[]));
  }
  return stored;
}

test('2000 devices that come back at once after a crash get what they missed, once and in order, amid publishing', async () => {
  const first = await Server.start();
  const before = await publishToEach(first, 'before');
  const open = (server: Server, cursors: readonly (string | undefined)[]): Promise<RawDevice[]> =>
    Promise.all(
      INBOXES.map((inbox, index) =>
        RawDevice.open(server.port, queryOf(inbox), { lastEventId: cursors[index] ?? '0' }),
      ),
    );
  const isLive = ({ said }: RawDevice): boolean => said.some(({ event }) => event === 'live');
  const devices = await open(first, []);
  await until(() => devices.every(isLive), 'all devices');
  const crowd = Publisher.several(2, first.url, ALL);
  await until(() => storedBy(crowd).length > 20, 'messages to all');
  // Some hear of these, and some do not any more.
  const late = await publishToEach(first, 'late');
  await first.kill();
  await Promise.all(crowd.map(({ over }) => over));
  await until(() => devices.every(({ closed }) => closed), 'the end of all streams');

  const second = await Server.start({ database: first.database });
  const missed = await publishToEach(second, 'missed');
  const onward = Publisher.several(2, second.url, ALL);
  const again = await open(
    second,
    devices.map(({ cursor }) => cursor),
  );
  await until(() => again.every(isLive), 'all devices again');
  const sofar = storedBy(onward).length;
  await until(() => storedBy(onward).length > sofar, 'a message after all are back');
  await Promise.all(onward.map((publisher) => publisher.end()));
  const last = await publishToEach(second, 'last');
  await until(() => again.every(({ ids }, index) => ids.at(-1) === last[index]?.id), 'the last message');

  // Of what was under way at the crash, nobody was told whether it was stored: the log says.
  const common = (await pullAll(second.url, ALL)).map(({ id }) => id);
  expect(common).toEqual(
    expect.arrayContaining([...storedBy(crowd), ...storedBy(onward)].map(({ id }) => id)),
  );
  for (const [index, device] of again.entries()) {
    const own = [before, late, missed, last].map((messages) => messages[index]?.id ?? NaN);
    const expected = [...own, ...common].sort((one, other) => one - other);
    expect([...(devices[index]?.ids ?? []), ...device.ids]).toEqual(expected);
    expect(device.said[0]?.data).toMatchObject({ type: 'ready', gap: false });
    expect(device.closed).toBe(false);
    device.cut();
  }
});
