import { afterEach, describe, expect } from '@jest/globals';
import { networkTest, PrivateNetwork } from '../support/private-network.ts';
import { cleanUp } from '../support/server.ts';
import { until } from '../support/until.ts';

afterEach(cleanUp);

/** Ports that the system gives to nobody by itself: the requests of a test take hundreds of those from 32768 on. */
const PHONE = 20_001;
const WATCH = 20_002;
const LAPTOP = 20_003;
const TABLET = 20_004;

describe('a device that vanishes without a word', () => {
  networkTest(
    'a vanished device goes offline and its stream is closed when TCP gives up on it; others notice nothing',
    async () => {
      const network = await PrivateNetwork.start({ env: { HEARTBEAT_SECONDS: '1' } });
      const phone = network.open('recipient=bob', PHONE);
      const watch = network.open('recipient=cleo', WATCH);
      await phone.waitFor('live');
      await watch.waitFor('live');
      const laptop = network.open('recipient=ann&presence=bob', LAPTOP);
      await laptop.waitFor('presence');
      expect(laptop.of('presence')[0]?.data).toMatchObject({ recipient: 'bob', online: true, devices: 1 });

      for (const port of [PHONE, WATCH]) network.losePacketsOf(port);
      await phone.kill();
      await watch.kill();
      // Not known yet to anybody.
      expect(network.devices('bob', 'cleo')).toEqual([1, 1]);
      expect(network.hasConnection(PHONE)).toBe(true);
      // One is sent a message, and the other nothing but heartbeats.
      network.request('/messages', 'recipient=cleo', 'content=lost');
      network.request('/messages', 'recipient=ann', 'content=first');
      await laptop.waitFor('message');

      await until(() => network.devices('bob', 'cleo').every((count) => count === 0), 'both to be gone');
      expect([PHONE, WATCH].filter((port) => network.hasConnection(port))).toEqual([]);
      await laptop.waitFor('presence', 2);
      expect(laptop.of('presence')[1]?.data).toMatchObject({ recipient: 'bob', online: false, devices: 0 });

      // A client that comes back has missed nothing.
      const cursor = watch.of('live')[0]?.id ?? '';
      const tablet = network.open(`recipient=cleo&recipient=bob&lastEventId=${cursor}`, TABLET);
      await tablet.waitFor('live');
      expect(tablet.of('message').map(({ data }) => data as unknown)).toMatchObject([{ content: 'lost' }]);
      await laptop.waitFor('presence', 3);
      network.request('/messages', 'recipient=ann', 'content=second');
      await laptop.waitFor('message', 2);
      expect(laptop.of('message').map(({ data }) => data as unknown)).toMatchObject([
        { content: 'first' },
        { content: 'second' },
      ]);
      expect(laptop.ended).toBe(false);
      const { code, stderr } = await network.server.stop();
      expect(code).toBe(0);
      expect(stderr).not.toMatch(/"level":(50|60)/);
    },
  );
});
