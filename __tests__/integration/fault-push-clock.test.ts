import { afterEach, describe, expect, test } from '@jest/globals';
import { send } from '../support/api.ts';
import type { Payload } from '../support/push-device.ts';
import { PushNetwork, pushTest } from '../support/push-network.ts';
import { dealtWith, markRead } from '../support/push-state.ts';
import { cleanUp } from '../support/server.ts';
import { until } from '../support/until.ts';
import { clockTest, WrongClock } from '../support/wrong-clock.ts';

afterEach(cleanUp);

const DAY = 86_400;

/** Needs both a network and a clock of its own. */
const pushClockTest = [pushTest, clockTest].includes(test.skip) ? test.skip : pushTest;

describe('a clock that goes a day ahead and comes back', () => {
  pushClockTest('a clock that goes a day ahead and back loses no notification and repeats none', async () => {
    const clock = new WrongClock();
    const network = await PushNetwork.start();
    const env = { ...clock.env, PUSH_DELAY_SECONDS: '1' };
    const server = await network.startServer(env);
    const phone = await network.subscribe('bob');
    // Their signatures have the times of the clock, and are not looked at.
    const contents = (): unknown[] =>
      network.pushed.map(({ body }) => (JSON.parse(phone.decrypt(body).toString()) as Payload).content);

    clock.set(DAY);
    // Stored with a time of tomorrow, and due when the clock is right again.
    await send(network.url, 'bob', 'ahead', { sender: 'alice' });
    clock.set(0);
    await send(network.url, 'bob', 'right', { sender: 'carol' });
    await dealtWith(server.database, 'bob', 2);
    expect(contents()).toEqual(['ahead', 'right']);

    // Due a day ago, by the clock.
    await send(network.url, 'bob', 'before', { sender: 'dave' });
    clock.set(-DAY);
    const after = await send(network.url, 'bob', 'behind', { sender: 'erin' });
    await dealtWith(server.database, 'bob', after.id);
    expect(contents().slice(2).sort()).toEqual(['before', 'behind']);
    await server.kill();

    clock.set(DAY);
    await network.startServer(env);
    const last = await send(network.url, 'bob', 'last', { sender: 'alice' });
    await markRead(network.url, 'bob', 'carol', 2);
    await dealtWith(server.database, 'bob', last.id);
    await until(() => network.pushed.length === 6, 'the end of one, and the last');
    expect(
      contents()
        .filter((content) => content !== undefined)
        .slice(4),
    ).toEqual(['last']);
  });
});
